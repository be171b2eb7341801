// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Schema names the form of Report.
const Schema = "wsk-xdp.echo/1"

// Report is the JSON document of echo.
type Report struct {
	host.Head
	Config Config `json:"config"`
	Totals Totals `json:"totals"`
	// Drops are what buffers and rings had no room for, by cause.
	Drops map[string]uint64 `json:"drops"`
	// Intervals are what came second by second.
	Intervals []IntervalReport `json:"intervals"`
	CPU       int64            `json:"cpu_ns"`
	Elapsed   int64            `json:"elapsed_ns"`
	// Interrupted is how an echo ends, unless it was told when.
	Interrupted bool     `json:"interrupted"`
	Warnings    []string `json:"warnings"`
	Verdict     Verdict  `json:"verdict"`
}

// Config is the effective configuration.
type Config struct {
	Listen     string   `json:"listen"`
	Engine     string   `json:"engine"`
	Interfaces []string `json:"interfaces,omitempty"`
	Any        bool     `json:"any"`
	// Delay, DropMillionths and Seed are what was done to answers.
	Delay          int64  `json:"delay_ns,omitempty"`
	DropMillionths uint64 `json:"drop_millionths,omitempty"`
	Seed           uint64 `json:"seed,omitempty"`
	For            int64  `json:"for_ns,omitempty"`
}

// Totals are all datagrams that came: each was answered, failed, dropped, load or refused.
type Totals struct {
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"payload_bytes"`
	Answered uint64 `json:"answered_packets"`
	Failed   uint64 `json:"failed_packets"`
	// Dropped are pings that got no answer because that was asked for; Load are numbered packets of blast, which get none.
	Dropped uint64 `json:"dropped_packets"`
	Load    uint64 `json:"load_packets"`
	Refused uint64 `json:"refused_packets"`
	// ByCause are the refused ones.
	ByCause map[Cause]uint64 `json:"refused_by_cause"`
}

// IntervalReport is about a second.
type IntervalReport struct {
	Start    int64  `json:"start_ns"`
	End      int64  `json:"end_ns"`
	Packets  uint64 `json:"packets"`
	Answered uint64 `json:"answered_packets"`
	Failed   uint64 `json:"failed_packets"`
	Dropped  uint64 `json:"dropped_packets"`
	Load     uint64 `json:"load_packets"`
	Refused  uint64 `json:"refused_packets"`
	Drops    uint64 `json:"dropped_here_packets"`
}

// Verdict is how it went.
type Verdict struct {
	ID   string `json:"id"` // ok, nothing, drops, failed or refused
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Fill enters what was counted. It goes last.
func (r *Report) Fill(c Counts, drops map[string]uint64) {
	r.Drops = drops
	r.Totals = Totals{Packets: c.Packets, Bytes: c.Bytes, Answered: c.Answered, Failed: c.Failed, Dropped: c.Dropped, Load: c.Load, Refused: c.refused(), ByCause: c.Refused}
	v := Verdict{"ok", true, units.Plural(int(c.Answered), "datagram") + " answered"}
	if c.Dropped > 0 {
		v.Text += "; " + units.Grouped(c.Dropped) + " dropped, as was asked for"
	}
	if c.Load > 0 {
		v.Text += "; " + units.Grouped(c.Load) + " of a load came"
	}
	if t := &r.Totals; t.Refused > 0 {
		v.ID, v.OK = "refused", false
		v.Text += "; refused: " + causes(c.Refused)
	}
	if c.Failed > 0 {
		v.ID, v.OK = "failed", false
		v.Text += "; " + units.Grouped(c.Failed) + " answers failed"
	}
	for _, cause := range recv.Causes(drops) {
		v.ID, v.OK = "drops", false
		v.Text += fmt.Sprintf("; %s dropped here: %s", units.Grouped(drops[cause]), strings.ReplaceAll(cause, "_", " "))
	}
	if c.Packets == 0 {
		v = Verdict{"nothing", false, "nothing came"}
	}
	r.Verdict = v
}

// causes are the causes in words, most first.
func causes(refused map[Cause]uint64) string {
	list := slices.SortedFunc(maps.Keys(refused), func(a, b Cause) int {
		return cmp.Or(cmp.Compare(refused[b], refused[a]), cmp.Compare(a, b))
	})
	words := make([]string, len(list))
	for i, cause := range list {
		words[i] = units.Grouped(refused[cause]) + " " + strings.ReplaceAll(string(cause), "_", " ")
	}
	return strings.Join(words, ", ")
}

// Table is the final table.
func (r *Report) Table() *output.Table {
	t := &r.Totals
	var facts output.Table
	facts.Row("came", units.Plural(int(t.Packets), "packet")+", "+units.Bytes(t.Bytes)+" of payload")
	facts.Row("answered", units.Grouped(t.Answered))
	if r.Elapsed > 0 {
		facts.Row("cost", fmt.Sprintf("%.2f CPU", float64(r.CPU)/float64(r.Elapsed)))
	}
	facts.Row("verdict", r.Verdict.Text)
	return &facts
}

// Seconds makes intervals of what has come so far. The zero value is ready; it is for one goroutine.
type Seconds struct {
	at     time.Duration
	counts Counts
	drops  uint64
}

// Next is what has come since the last call, until elapsed.
func (s *Seconds) Next(elapsed time.Duration, c Counts, drops map[string]uint64) IntervalReport {
	var dropped uint64
	for _, n := range drops {
		dropped += n
	}
	b := &s.counts
	i := IntervalReport{
		Start: s.at.Nanoseconds(), End: elapsed.Nanoseconds(), Packets: c.Packets - b.Packets, Answered: c.Answered - b.Answered,
		Failed: c.Failed - b.Failed, Dropped: c.Dropped - b.Dropped, Load: c.Load - b.Load, Refused: c.refused() - b.refused(),
		Drops: dropped - min(s.drops, dropped),
	}
	s.at, s.counts, s.drops = elapsed, c, dropped
	return i
}

// Last is what has come behind the last second. ok is whether that is worth an interval: it is the first, or something came, or it is long.
func (s *Seconds) Last(elapsed time.Duration, c Counts, drops map[string]uint64) (i IntervalReport, ok bool) {
	begun := s.at
	i = s.Next(elapsed, c, drops)
	return i, begun == 0 || elapsed-begun >= leastLast || i.Packets+i.Drops > 0
}

// leastLast is how long an interval at the end is where nothing has come in it.
const leastLast = 100 * time.Millisecond

// Line is the live line.
type Line struct {
	packets uint64
	at      time.Duration
}

// Next is the line of now.
func (l *Line) Next(elapsed time.Duration, c Counts, drops map[string]uint64) string {
	pps := float64(c.Packets-l.packets) / max(elapsed-l.at, 1).Seconds()
	l.packets, l.at = c.Packets, elapsed
	line := fmt.Sprintf("[%5.1fs] rx %s  answered %s", elapsed.Seconds(), units.PacketRate(pps), units.Grouped(c.Answered))
	for _, more := range []struct {
		name string
		n    uint64
	}{{"failed", c.Failed}, {"dropped", c.Dropped}, {"load", c.Load}} {
		if more.n > 0 {
			line += "  " + more.name + " " + units.Grouped(more.n)
		}
	}
	if len(c.Refused) > 0 {
		line += "  refused: " + causes(c.Refused)
	}
	for _, cause := range recv.Causes(drops) {
		line += fmt.Sprintf("  dropped here: %s %s", units.Grouped(drops[cause]), strings.ReplaceAll(cause, "_", " "))
	}
	return line
}
