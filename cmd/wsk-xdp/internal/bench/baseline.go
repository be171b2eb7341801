// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
)

// ReadReport reads a JSON document that an earlier run wrote.
func ReadReport(path string) (*Report, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read baseline: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("read baseline %s: %w", path, err)
	}
	if r.Schema != Schema {
		return nil, fmt.Errorf("read baseline %s: schema %q, want %q", path, r.Schema, Schema)
	}
	return r, nil
}

// notable is the change of a ratio that is worth a mark. On a machine that does other things too, medians of five runs
// differ by less than this for no reason.
const notable = 0.12

// WriteComparison compares the ratios of our engines to the others with those of an earlier report. Rates as such are
// not compared: the machine, or what else runs on it, is not the same.
func (r *Report) WriteComparison(w io.Writer, earlier *Report) error {
	var t output.Table
	t.Row("frame", "queues", "ours", "against", "then", "now", "change")
	for _, ours := range []string{Base, "wsk-batch"} {
		for _, other := range r.Results {
			if other.Engine == ours {
				continue
			}
			now, ok1 := r.against(ours, other)
			then, ok2 := earlier.against(ours, other)
			if !ok1 || !ok2 {
				continue
			}
			change := now/then - 1
			mark := ""
			switch {
			case change < -notable:
				mark = "slower"
			case change > notable:
				mark = "faster"
			}
			t.Row(fmt.Sprint(other.FrameBytes), fmt.Sprint(other.Queues), ours, other.Engine, fmt.Sprintf("%.2f", then),
				fmt.Sprintf("%.2f", now), fmt.Sprintf("%+.0f %%", 100*change), mark)
		}
	}
	if _, err := fmt.Fprintf(w, "compared with a run on linux %s, %s\n", earlier.Host.Kernel, earlier.Host.CPUModel); err != nil {
		return err
	}
	return t.Write(w)
}

// against is the ratio of one of our engines to another in this report, at the same size and number of queues as
// in like.
func (r *Report) against(ours string, like Result) (float64, bool) {
	a, ok1 := r.result(ours, like)
	b, ok2 := r.result(like.Engine, like)
	if !ok1 || !ok2 || a.Ratio == nil || b.Ratio == nil || *b.Ratio == 0 {
		return 0, false
	}
	return *a.Ratio / *b.Ratio, true
}

func (r *Report) result(engine string, like Result) (Result, bool) {
	for _, one := range r.Results {
		if one.Engine == engine && one.FrameBytes == like.FrameBytes && one.Queues == like.Queues {
			return one, true
		}
	}
	return Result{}, false
}
