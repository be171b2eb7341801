// SPDX-License-Identifier: Apache-2.0

package device

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// TestStandsIn: the kernel's stack sends while a queue is being opened where that is asked for and leaves the interface alone.
func TestStandsIn(t *testing.T) {
	_, set, rd := labSet(t, testenv.AFXDP, testenv.Topology{})
	d, err := set.deviceFor(rd)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(what string, does, known, asked bool) {
		t.Helper()
		gotDoes, gotKnown := d.standsIn()
		if gotDoes != does || gotKnown != known {
			t.Errorf("%s: %v, known %v, want %v, %v", what, gotDoes, gotKnown, does, known)
		}
		if got := d.asksStandIn(); got != asked {
			t.Errorf("%s, asked: %v, want %v", what, got, asked)
		}
	}
	expect("not asked for", false, true, false)
	set.Opts.StandIn, set.Opts.Socket.Mode = true, xdp.ModeCopy
	expect("copy mode", true, true, true)
	set.Opts.Socket.Mode = xdp.ModeAuto
	set.Learn()
	all := set.announced.Load()
	if all == nil {
		t.Log("this kernel does not tell what drivers can")
		expect("a kernel that does not tell", false, false, false)
		return
	}
	expect("a veth", true, true, true)
	(*all)[d.Index] = nic.Device{XDP: ^nic.XDPFeatures(0)}
	expect("a driver with zero-copy", false, true, false)
	delete(*all, d.Index)
	expect("an interface that is new", false, false, true)
	d.program = new(Program)
	expect("an interface that receives", false, true, false)
	d.program = nil
}
