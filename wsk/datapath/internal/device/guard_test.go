// SPDX-License-Identifier: Apache-2.0

package device

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestProgramIsPutBack takes the program off an interface that is received on, by force: the guard puts it back.
// Somebody else's program that came meanwhile stays, and the guard does not try again at once.
func TestProgramIsPutBack(t *testing.T) {
	lab, set, rd := labSet(t, testenv.AFXDP|testenv.XDPProgram, testenv.Topology{})
	if err := set.OpenReceiving(rd.Name); err != nil {
		t.Fatal(err)
	}
	p := set.Programs()[0]
	own := p.Prog.(*bpf.Program).ID()
	guard := func(now time.Time) {
		t.Helper()
		set.GuardPrograms(now)
		testenv.Eventually(t, time.Minute, "the end of the attempt", func() bool { return !p.guarding.Load() })
	}
	has := func(want uint32) {
		t.Helper()
		if list := holders(t, set, rd.Index); len(list) != 1 || list[0].ID != want {
			t.Errorf("the interface has %v, want program %d", list, want)
		}
	}
	now := time.Now()
	guard(now) // nothing to do
	has(own)
	detach(t, own)
	guard(now)
	has(own)

	foreign, err := bpf.Load(bpf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	detach(t, own)
	if err := lab.A.NS.Do(func() error { _, err := foreign.Attach(rd.Index, bpf.Native); return err }); err != nil {
		t.Fatal(err)
	}
	now = now.Add(attachRetry)
	guard(now)
	has(foreign.ID())
	if err := foreign.Close(); err != nil {
		t.Fatal(err)
	}
	guard(now.Add(attachRetry / 2))
	if list := holders(t, set, rd.Index); len(list) != 0 {
		t.Errorf("tried again at once: %v", list)
	}
	guard(now.Add(attachRetry))
	has(own)
}
