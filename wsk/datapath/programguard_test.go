// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"

	"github.com/cilium/ebpf/link"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestProgramIsPutBack takes the program off an interface that is received on, by force: the datagrams go through the kernel's
// stack until it is back, which it is without anybody's help. Somebody else's program that came meanwhile stays.
func TestProgramIsPutBack(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{}, Options{})
	p := dp.devices.Programs()[0]
	own := p.Prog.(*bpf.Program).ID()
	holders := func() (list []bpf.Holder) {
		err := lab.A.NS.Do(func() (err error) {
			list, err = bpf.Holders(lab.A.If.Index())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	arrivesOn(t, lab, dp, "10.77.0.1", lab.A.If.Index())
	detach(t, own)
	arrivesOn(t, lab, dp, "10.77.0.1", lab.A.If.Index())
	if list := holders(); len(list) != 1 || list[0].ID != own {
		t.Errorf("the interface has %v, want program %d", list, own)
	}

	foreign, err := bpf.Load(bpf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	eventually(t, "the end of the attempt", func() bool { return !p.Guarding.Load() })
	p.Guarding.Store(true) // nobody is to be faster
	detach(t, own)
	if err := lab.A.NS.Do(func() error { _, err := foreign.Attach(lab.A.If.Index(), bpf.Native); return err }); err != nil {
		t.Fatal(err)
	}
	p.Reattach(dp.devices.Known(p.IfIndex), p.Attachment())
	if list := holders(); len(list) != 1 || list[0].ID != foreign.ID() {
		t.Errorf("the interface has %v, want program %d", list, foreign.ID())
	}
}

// detach is bpftool link detach of the link of a program.
func detach(t *testing.T, program uint32) {
	t.Helper()
	var links link.Iterator
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err != nil || uint32(info.Program) != program {
			continue
		}
		if err := links.Link.Detach(); err != nil {
			t.Error(err)
		}
		return
	}
	t.Errorf("program %d has no link", program)
}
