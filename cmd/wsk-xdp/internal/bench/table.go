// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// WriteTable writes the report for people: for every size a table of figures, and one of ratios.
func (r *Report) WriteTable(w io.Writer) error {
	for i, one := range r.comparisons {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%d-byte frames (with FCS) · %s · counted: %s\n", one.size,
			units.Plural(r.Granted.Destinations, "destination"), r.Granted.CountedBy)
		if err := r.figures(one).Write(w); err != nil {
			return err
		}
		if t := ratioTable(one); t != nil {
			fmt.Fprintln(w, "ratios of rates, median of the rounds (least to most):")
			if err := t.Write(w); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "linux %s · %d CPUs · %s · load %.2f before, %.2f after\n"+
		"CPU is that of the sending process; on veth it includes the receiver's work up to its XDP program\n",
		r.Host.Kernel, r.Host.CPUs, r.Host.Go, r.Host.LoadBefore, r.Host.LoadAfter)
	return err
}

func (r *Report) figures(one *comparison) *output.Table {
	var t output.Table
	t.Row("engine", "kpps", "min", "max", "to "+Base, "CPU ns/pkt", "user ns", "syscalls/pkt", "RSS", "runs")
	for _, res := range r.Results {
		if res.FrameBytes != one.size {
			continue
		}
		ratio, syscalls := "-", "-"
		if res.Ratio != nil {
			ratio = fmt.Sprintf("%.2f", *res.Ratio)
		}
		if res.SyscallsPerPacket != nil {
			syscalls = fmt.Sprintf("%.4f", *res.SyscallsPerPacket)
		}
		kpps := func(v uint64) string { return fmt.Sprintf("%.0f", float64(v)/1e3) }
		t.Row(res.Engine, kpps(res.PPSMedian), kpps(res.PPSMin), kpps(res.PPSMax), ratio, fmt.Sprintf("%.0f", res.CPUNsPerPacket),
			fmt.Sprintf("%.0f", res.UserNsPerPacket), syscalls, units.Bytes(res.RSSBytes), fmt.Sprint(res.Runs))
	}
	return &t
}

// ratioTable compares our engines with everybody else, round by round; nil if there is nothing to compare.
func ratioTable(one *comparison) *output.Table {
	var ours []*contestant
	for _, name := range []string{"wsk", "wsk-batch"} {
		if who := one.find(name); who != nil {
			ours = append(ours, who)
		}
	}
	if len(ours) == 0 || len(one.contestants) < 2 {
		return nil
	}
	var t output.Table
	head := []string{"against"}
	for _, o := range ours {
		head = append(head, o.name)
	}
	t.Row(head...)
	for _, other := range one.contestants {
		row := []string{other.name}
		for _, o := range ours {
			cell := "-"
			if ratios := pairRatios(o, other); o != other && len(ratios) > 0 {
				s := spreadOf(ratios)
				cell = fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.min, s.max)
			}
			row = append(row, cell)
		}
		t.Row(row...)
	}
	return &t
}
