// SPDX-License-Identifier: Apache-2.0

package frame_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

func TestNothingAllocates(t *testing.T) {
	four, six := mustTemplate(t, flow4), mustTemplate(t, withTags(flow6, qinq7, vlan100))
	payload := pattern(3001)
	buf := make([]byte, 4096)
	whole4, whole6 := build(t, flow4, payload[:100], 1), build(t, flow6, payload[:100], 1)
	garbage := pattern(60)

	for name, f := range map[string]func(){
		"sum and put": func() {
			for _, tmpl := range []*frame.Template{&four, &six} {
				var sum frame.Sum
				at := tmpl.HeaderLen()
				for _, n := range []int{7, 64, 0, 993} {
					sum.CopyAdd(buf[at:], payload[:n])
					sum.Add(payload[:0])
					at += n
				}
				sinkInt = tmpl.PutHeaders(buf, at-tmpl.HeaderLen(), 1, sum)
				sinkInt = tmpl.PutHeadersPartial(buf, at-tmpl.HeaderLen(), 1)
			}
		},
		"fragments": func() {
			for _, tmpl := range []*frame.Template{&four, &six} {
				plan, err := tmpl.PlanFragments(len(payload), 1500)
				if err != nil {
					t.Fatal(err)
				}
				for i := range plan.Count() {
					sinkInt = tmpl.PutFragment(buf, plan, i, 9, frame.Sum{}) + plan.At(i).PayloadLen
				}
			}
		},
		"segments": func() {
			plan, err := four.PlanSegments(len(payload), 100, 1500)
			if err != nil {
				t.Fatal(err)
			}
			sinkInt = plan.At(1, 0).PayloadLen
		},
		"parse": func() {
			for _, b := range [][]byte{whole4, whole6} {
				p, r := frame.Parse(b)
				if r != frame.ReasonOK || frame.VerifyChecksums(b, &p) != frame.ReasonOK {
					t.Fatal(r)
				}
				sinkInt = len(p.Payload(b))
			}
			_, r := frame.Parse(garbage)
			sinkInt = len(r.String())
		},
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
