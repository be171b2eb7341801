// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/stats"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// WriteTable writes the report for people: for every size a table of figures, and one of ratios.
func (r *Report) WriteTable(w io.Writer) error {
	for i, one := range r.comparisons {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%d-byte frames (with FCS) · %s · %s · counted: %s\n", one.size, units.Plural(r.queues, "queue"),
			units.Plural(r.Granted.Destinations, "destination"), r.Granted.CountedBy)
		if err := r.figures(one).Write(w); err != nil {
			return err
		}
		if t := ratioTable(one); t != nil {
			fmt.Fprintln(w, "ours against others, in rate and in packets per CPU time: median of the rounds (least–most)")
			if err := t.Write(w); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "%s\n"+
		"CPU is that of the sending process, cores how much of it there was per time; on veth it includes the receiver's work\n", r.Host.Line())
	return err
}

func (r *Report) figures(one *comparison) *output.Table {
	var t output.Table
	t.Row("engine", "kpps", "min", "max", "to "+Base, "CPU ns/pkt", "user ns", "cores", "syscalls/pkt", "RSS", "runs")
	for _, res := range r.Results {
		if res.FrameBytes != one.size {
			continue
		}
		syscalls := "-"
		if res.SyscallsPerPacket != nil {
			syscalls = fmt.Sprintf("%.4f", *res.SyscallsPerPacket)
		}
		kpps := func(v uint64) string { return fmt.Sprintf("%.0f", float64(v)/1e3) }
		cores := stats.Median(one.find(res.Engine).runs.Values(func(m *measured) float64 { return m.cores }))
		t.Row(res.Engine, kpps(res.PPSMedian), kpps(res.PPSMin), kpps(res.PPSMax), units.OrDash(res.Ratio), fmt.Sprintf("%.0f", res.CPUNsPerPacket),
			fmt.Sprintf("%.0f", res.UserNsPerPacket), fmt.Sprintf("%.2f", cores), syscalls, units.Bytes(res.RSSBytes), fmt.Sprint(res.Runs))
	}
	return &t
}

// ratioTable compares our engines with everybody else, round by round; nil if there is nothing to compare.
func ratioTable(one *comparison) *output.Table {
	var ours []*contestant
	head := []string{"against"}
	for _, name := range []string{"wsk", "wsk-batch"} {
		if who := one.find(name); who != nil {
			ours = append(ours, who)
			head = append(head, name, "per CPU")
		}
	}
	if len(ours) == 0 || len(one.contestants) < 2 {
		return nil
	}
	var t output.Table
	t.Row(head...)
	for _, other := range one.contestants {
		row := []string{other.name}
		for _, o := range ours {
			row = append(row, ratioCell(o, other, rate), ratioCell(o, other, thrift))
		}
		t.Row(row...)
	}
	return &t
}

func ratioCell(a, b *contestant, figure func(*measured) float64) string {
	ratios := a.runs.Ratios(b.runs, figure)
	if a == b || len(ratios) == 0 {
		return "-"
	}
	s := stats.SpreadOf(ratios)
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}
