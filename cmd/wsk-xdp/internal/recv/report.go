// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Schema names the form of Report.
const Schema = "wsk-xdp.recv/1"

// Report is the JSON document of recv. A packet is one UDP datagram.
type Report struct {
	host.Head
	Config Config `json:"config"`
	// Totals are all datagrams; Runs those with stamps, run by run, as far as there is room for runs.
	Totals TotalsReport `json:"totals"`
	Runs   []RunReport  `json:"runs"`
	// Drops are what buffers and rings had no room for, by cause.
	Drops map[string]uint64 `json:"drops"`
	// Intervals are what came second by second.
	Intervals   []IntervalReport `json:"intervals"`
	CPU         int64            `json:"cpu_ns"`
	Elapsed     int64            `json:"elapsed_ns"`
	Warnings    []string         `json:"warnings"`
	Interrupted bool             `json:"interrupted"`
	Verdict     Verdict          `json:"verdict"`
}

// Config is the effective configuration.
type Config struct {
	Listen     string   `json:"listen"`
	Engine     string   `json:"engine"`
	Interfaces []string `json:"interfaces,omitempty"`
	Window     int      `json:"window_packets"`
	Verify     string   `json:"verify"`
	Drain      int64    `json:"drain_ns"`
	For        int64    `json:"for_ns,omitempty"`
	Expect     uint64   `json:"expect_packets,omitempty"`
	OneOff     bool     `json:"one_off"`
}

// TotalsReport are all datagrams that came.
type TotalsReport struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"payload_bytes"`
	Foreign uint64 `json:"foreign_packets"`
	// Warmup were sent before a run (blast --warmup), and are of none.
	Warmup    uint64 `json:"warmup_packets"`
	Received  uint64 `json:"received_packets"`
	Lost      uint64 `json:"lost_packets"`
	Duplicate uint64 `json:"duplicate_packets"`
	Reordered uint64 `json:"reordered_packets"`
	Late      uint64 `json:"late_packets"`
	Corrupt   uint64 `json:"corrupt_packets"`
	Refused   uint64 `json:"refused_packets"`
	// RunsForgotten is how many runs are counted here and are not among the runs, to make room for later ones.
	RunsForgotten int `json:"runs_forgotten"`
}

// IntervalReport is about a second. Lost are numbers that were passed over; what seemed lost and came after all makes the next
// one less, though not below 0.
type IntervalReport struct {
	Start     int64  `json:"start_ns"`
	End       int64  `json:"end_ns"`
	Packets   uint64 `json:"packets"`
	Bytes     uint64 `json:"payload_bytes"`
	Received  uint64 `json:"received_packets"`
	Lost      uint64 `json:"lost_packets"`
	Duplicate uint64 `json:"duplicate_packets"`
	Reordered uint64 `json:"reordered_packets"`
	Drops     uint64 `json:"dropped_here_packets"`
}

// RunReport is about one run.
type RunReport struct {
	Run uint16 `json:"run"`
	// Announced is whether a sender has announced it; only then is it known how many it sent.
	Announced bool `json:"announced"`
	// Ended is whether it had ended before the report.
	Ended bool `json:"ended"`
	// Before is how many numbers were given out before the first that came, of a run that was not announced: they were sent
	// before this receiver was there, or lost.
	Before uint64 `json:"before_first_packets,omitempty"`
	peer.Report
}

// Verdict is how it went.
type Verdict struct {
	ID   string `json:"id"` // ok, nothing, or what was first
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Fill enters what the sink and the engine know now, and what has come to the engine by now. One that accounts in the kernel ends with it, so
// that every sum is of one moment.
func (r *Report) Fill(s *Sink, e Engine) {
	if x, ok := e.(*xdpEngine); ok {
		x.stop()
	} else {
		e.CatchUp()
	}
	s.mu.Lock()
	s.look()
	c := s.sums()
	r.Totals = TotalsReport{
		Packets: s.counts.Packets, Bytes: s.counts.Bytes, Foreign: s.counts.Foreign, Warmup: s.counts.Warmup, Received: c.Received, Lost: c.Lost, Duplicate: c.Duplicate,
		Reordered: c.Reordered, Late: c.Late, Corrupt: c.Corrupt, Refused: c.Refused, RunsForgotten: s.gone.runs,
	}
	r.Runs = []RunReport{}
	add := func(one *run) {
		report := RunReport{Run: one.id, Announced: one.hello != nil, Ended: one.over, Before: one.account.Counts().Before, Report: one.report()}
		report.Version, report.Engine, report.Drops, report.Intervals = r.Version, e.Name(), map[string]uint64{}, []peer.Interval{}
		if !one.over {
			report.Foreign = s.counts.Foreign - one.foreign
		}
		r.Runs = append(r.Runs, report)
	}
	for _, one := range s.ended {
		add(one)
	}
	for _, one := range s.runs {
		add(one)
	}
	s.mu.Unlock()
	slices.SortStableFunc(r.Runs[len(r.Runs)-r.going():], func(a, b RunReport) int { return cmp.Compare(a.Run, b.Run) })
	r.Drops = e.Drops()
	r.conclude(e.Err())
}

// going is how many runs have not ended; they are the last ones.
func (r *Report) going() (n int) {
	for _, one := range r.Runs {
		if !one.Ended {
			n++
		}
	}
	return n
}

// conclude enters the verdict. failed is why the engine received no more, nil where it did.
func (r *Report) conclude(failed error) {
	t := &r.Totals
	v := Verdict{"ok", true, units.Grouped(t.Packets) + " packets came"}
	if t.Received > 0 {
		v.Text = "every number was received"
	}
	var wrong []string
	add := func(id string, n uint64, text string) {
		if n == 0 {
			return
		}
		if v.OK {
			v.ID, v.OK = id, false
		}
		wrong = append(wrong, units.Grouped(n)+" "+text)
	}
	add("loss", t.Lost, "lost")
	for _, cause := range Causes(r.Drops) {
		if peer.Shared(r.Config.Engine, cause) {
			continue // it may be others'
		}
		add("drops", r.Drops[cause], "dropped here: "+strings.ReplaceAll(cause, "_", " "))
	}
	add("corrupt", t.Corrupt, "corrupt")
	add("refused", t.Refused, "of more streams than there is memory for")
	add("late", t.Late, "came behind the window")
	add("duplicate", t.Duplicate, "duplicate")
	if len(wrong) > 0 {
		v.Text = strings.Join(wrong, "; ")
	}
	if t.Packets == t.Warmup {
		v = Verdict{"nothing", false, "nothing came"}
		if t.Warmup > 0 {
			v.Text += " but what warms up"
		}
	}
	if n := r.Drops[peer.BadChecksum]; n > 0 && peer.Shared(r.Config.Engine, peer.BadChecksum) {
		v.Text += "; to this network namespace " + units.Grouped(n) + " came with a wrong checksum"
	}
	for _, one := range r.Runs {
		if !one.Balanced {
			v.Text += fmt.Sprintf("; the sums of run %04x do not come out even: of the late ones some came before", one.Run)
		}
	}
	if failed != nil {
		v = Verdict{"receiver_failed", false, fmt.Sprintf("what came later was not received: %v; until then: %s", failed, v.Text)}
	}
	r.Verdict = v
}

// Causes are the causes of drops, most first.
func Causes(drops map[string]uint64) []string {
	var out []string
	for cause := range drops {
		out = append(out, cause)
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(drops[b], drops[a]), cmp.Compare(a, b)) })
	return out
}

// Tables are the final tables.
func (r *Report) Tables() []*output.Table {
	var counts, facts output.Table
	counts.Row("run", "received", "rate", "lost", "duplicate", "reordered", "extent", "late", "corrupt")
	for _, one := range r.Runs {
		rate := "too short to tell"
		if d := time.Duration(one.Receiving); d >= 100*time.Millisecond {
			rate = units.PacketRate(float64(one.Received) / d.Seconds())
		}
		counts.Row(fmt.Sprintf("%04x", one.Run), units.Grouped(one.Received), rate, units.Grouped(one.Lost), units.Grouped(one.Duplicate),
			units.Grouped(one.Reordered), units.Grouped(one.Extent), units.Grouped(one.Late), units.Grouped(one.Corrupt))
	}
	t := &r.Totals
	came := fmt.Sprintf("%s, %s of payload, %s of no run", units.Plural(int(t.Packets), "packet"), units.Bytes(t.Bytes), units.Grouped(t.Foreign))
	if t.Warmup > 0 {
		came += fmt.Sprintf(", %s to warm up", units.Grouped(t.Warmup))
	}
	if t.RunsForgotten > 0 {
		came += fmt.Sprintf("; %s more than are listed", units.Plural(t.RunsForgotten, "run"))
	}
	facts.Row("came", came)
	for _, one := range r.Runs {
		if d := one.Delay; d != nil {
			ns := units.Nanoseconds
			facts.Row("one way", fmt.Sprintf("min %s  p50 %s  p99 %s  max %s", ns(d.Min), ns(d.P50), ns(d.P99), ns(d.Max)))
		}
	}
	for _, one := range r.Runs {
		if one.Before > 0 {
			facts.Row("begun", fmt.Sprintf("run %04x before the first that came: %s were sent earlier, or lost", one.Run, units.Grouped(one.Before)))
		}
	}
	if r.Elapsed > 0 {
		facts.Row("cost", fmt.Sprintf("%.2f CPU", float64(r.CPU)/float64(r.Elapsed)))
	}
	facts.Row("verdict", r.Verdict.Text)
	if len(r.Runs) == 0 {
		return []*output.Table{&facts}
	}
	return []*output.Table{&counts, &facts}
}
