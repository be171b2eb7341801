// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestNICLeavesTags: a NIC that takes VLAN tags out of frames does not while it is received on, so that a datagram of a VLAN which
// the host has no device for is not taken for an untagged one; and it does again afterwards.
func TestNICLeavesTags(t *testing.T) {
	lab := newNICLab(t)
	strips := func(h *testenv.Host) bool {
		f, err := h.If.Features()
		if err != nil {
			t.Fatal(err)
		}
		return f["rx-vlan-hw-parse"]
	}
	before := strips(lab.A)
	for _, mode := range []bpf.Mode{bpf.Native, bpf.Generic} {
		dp := lab.open(lab.A, Options{Receive: []string{lab.A.If.Name()}, ReceiveMode: mode})
		if strips(lab.A) {
			t.Errorf("%v: %s takes tags out of frames", mode, lab.driver(lab.A))
		}
		lab.waitCarrier()
		p := bind(t, dp, "0.0.0.0:7300")
		j := &injector{t, &testenv.Lab{A: lab.A, B: lab.B}}
		tagged := j.flow(false)
		tagged.VLANs = []frame.VLANTag{{ID: 100, PCP: 5}}
		got := make(map[string]int)
		testenv.Eventually(t, nicPatience, "an untagged datagram", func() bool { // what is sent while the link comes up is lost
			j.send(j.build(tagged, []byte("of a VLAN")), j.build(j.flow(false), []byte("untagged")))
			for _, d := range p.take() {
				got[string(d.Payload)]++
			}
			return got["untagged"] > 2
		})
		if got["of a VLAN"] != 0 {
			t.Errorf("%v: %d datagrams of a VLAN were taken for untagged ones", mode, got["of a VLAN"])
		}
		p.close()
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
		if after := strips(lab.A); after != before {
			t.Errorf("%v: the NIC takes tags out of frames: %v before, %v after", mode, before, after)
		}
	}
	t.Logf("%s: rx-vlan-hw-parse was %v", lab.driver(lab.A), before)
}
