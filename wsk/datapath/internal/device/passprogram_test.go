// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestPassProgramIsTakenOff: the program for zero-copy's sake is attached once, attached anew where somebody has taken
// it off, gone with the device, and not attached to one that has gone, as by a queue that was being opened meanwhile.
func TestPassProgramIsTakenOff(t *testing.T) {
	_, set, rd := labSet(t, testenv.XDPProgram, testenv.Topology{})
	var p passProgram
	attach := func() (fresh bool, err error) {
		err = set.InNetNS(func() error {
			fresh, err = p.attach(rd.Index)
			return err
		})
		return fresh, err
	}
	has := func(want int) {
		t.Helper()
		if list := holders(t, set, rd.Index); len(list) != want || p.on.Load() != (want != 0) {
			t.Errorf("the interface has %v, attached %v, want %d programs", list, p.on.Load(), want)
		}
	}
	for i, wantFresh := range []bool{true, false, true} {
		old := p.program
		if i == 2 {
			if p.takenOff() {
				t.Error("the program counts as taken off while it is there")
			}
			detach(t, old.ID())
			if !p.takenOff() {
				t.Error("nobody sees that the program was taken off")
			}
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
	if err := p.close(); err != nil {
		t.Error(err)
	}
	has(0)
	if _, err := attach(); !errors.Is(err, errClosing) {
		t.Errorf("on a device that has gone: %v", err)
	}
	has(0)
}

// TestUselessPassProgram: a device that refuses zero-copy with a program is not reset again for every sender.
func TestUselessPassProgram(t *testing.T) {
	var p passProgram
	if err := p.detachUseless(io.ErrUnexpectedEOF, time.Now()); err != nil {
		t.Error(err)
	}
	if fresh, err := p.attach(fakeCard.Index); fresh || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the next one, at once: %v, %v", fresh, err)
	}
}
