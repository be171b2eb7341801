// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
)

// TestSupplyIsTakenOff: the program for zero-copy's sake is attached once, attached anew where somebody has taken it off, gone with the
// device, and not attached to one that has gone, as by a queue that was being opened meanwhile.
func TestSupplyIsTakenOff(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.XDPProgram)
	lab, dp := companionLab(t, testenv.Topology{})
	rd, _ := dp.routes.DeviceByName(lab.A.If.Name())
	d, err := dp.devices.DeviceFor(rd)
	if err != nil {
		t.Fatal(err)
	}
	attach := func() (fresh bool, err error) {
		err = dp.ns.Do(func() error {
			fresh, err = d.AttachProgram()
			return err
		})
		return fresh, err
	}
	has := func(want int) {
		t.Helper()
		err := lab.A.NS.Do(func() error {
			holders, err := bpf.Holders(rd.Index)
			if len(holders) != want || d.Supplied() != (want != 0) {
				t.Errorf("the interface has %v, supplied %v, want %d programs", holders, d.Supplied(), want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	for i, wantFresh := range []bool{true, false, true} {
		old := d.Supply.Program
		if i == 2 {
			detach(t, old.ID())
		}
		if fresh, err := attach(); fresh != wantFresh || err != nil {
			t.Errorf("attempt %d: fresh %v, %v", i, fresh, err)
		}
		if i == 2 {
			if _, err := old.Counters(); !errors.Is(err, bpf.ErrClosed) {
				t.Errorf("the program that was taken off is still held: %v", err)
			}
		}
		has(1)
	}
	d.CloseSupply()
	has(0)
	if _, err := attach(); !errors.Is(err, device.ErrDeviceClosing) {
		t.Errorf("on a device that has gone: %v", err)
	}
	has(0)
}
