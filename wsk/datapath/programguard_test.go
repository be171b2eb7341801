// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestProgramComesBack takes the program off an interface that is received on, by force: the datagrams go through the kernel's
// stack until it is back, which it is without anybody's help.
func TestProgramComesBack(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{}, Options{})
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
	before := holders()
	if err := testenv.DetachProgram(before[0].ID); err != nil {
		t.Fatal(err)
	}
	arrivesOn(t, lab, dp, "10.77.0.1", lab.A.If.Index())
	if list := holders(); len(list) != 1 || list[0].ID != before[0].ID {
		t.Errorf("the interface has %v, want %v", list, before)
	}
}
