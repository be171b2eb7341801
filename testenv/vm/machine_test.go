// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/cable"
)

func TestOnlyAGuestThatWasNeverReadyIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		states   []State
		want     State
		attempts int
	}{
		{[]State{Done}, Done, 1},
		{[]State{Ready, Done}, Ready, 1}, // a hang after ready is a failure
		{[]State{Broken, Done}, Broken, 1},
		{[]State{NeverReady, Done}, Done, 2},
		{[]State{NeverReady, Ready}, Ready, 2},
		{[]State{NeverReady, NeverReady, Done}, NeverReady, 2},
	} {
		next := slices.Values(c.states)
		pull := func() (*Result, error) {
			for s := range next {
				c.states = c.states[1:]
				next = slices.Values(c.states)
				return &Result{State: s}, nil
			}
			return nil, errors.New("one attempt too many")
		}
		m := &Machine{Log: io.Discard}
		r, err := m.attempts(pull)
		if err != nil || r.State != c.want || r.Attempts != c.attempts {
			t.Errorf("%+v, %v, want %v after %d", r, err, c.want, c.attempts)
		}
	}
	broken := errors.New("no QEMU")
	if _, err := (&Machine{}).attempts(func() (*Result, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestWatchdogEndsWhatIsLate(t *testing.T) {
	for _, late := range []bool{true, false} {
		cmd := exec.Command("cat")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w := newWatchdog(cmd)
		if late {
			w.extend(time.Millisecond)
		} else {
			w.extend(time.Hour)
			stdin.Close()
		}
		if err := cmd.Wait(); (err != nil) != late {
			t.Errorf("late %t: %v", late, err)
		}
		if w.stop() != late {
			t.Errorf("late %t: watchdog says otherwise", late)
		}
	}
}

func TestEverySetupIsWired(t *testing.T) {
	for _, s := range Setups() {
		args := strings.Join(s.args(), " ")
		for i, nic := range s.NICs {
			if strings.Count(args, "mac="+nic.MAC) != 1 || strings.Count(args, "id="+cardID(i)+",") != 1 {
				t.Errorf("%s: %s is not one card: %s", s.Name, nic.MAC, args)
			}
		}
		if s.cables() != (len(s.NICs) == len(cable.Ends)) || s.cables() != strings.Contains(args, cable.PortName) {
			t.Errorf("%s: %d cards, cables %t: %s", s.Name, len(s.NICs), s.cables(), args)
		}
		if s.Queues == 0 || (len(s.NICs) > 0) != (args != "") || (len(s.NICs) > 0) != (len(s.Modules) > 0) {
			t.Errorf("%s: %+v", s.Name, s)
		}
		if s.taps != strings.Contains(args, "tap,") {
			t.Errorf("%s: taps %t, arguments %s", s.Name, s.taps, args)
		}
	}
	if _, err := FindSetup("nonesuch"); err == nil || !strings.Contains(err.Error(), "virtio1") {
		t.Errorf("error %v does not say what there is", err)
	}
}

func TestComplaints(t *testing.T) {
	r := &Result{KernelLog: "[ 1.0] fine\r\n[ 2.0] BUG: unable to handle\r\n[ 2.1] Kernel panic - not syncing\r\n" +
		"[ 3.0] WARNING: CPU: 1 PID: 2 at net/xdp/xsk.c:1 x+0x1/0x2 [veth]\n"}
	want := []string{
		"BUG: unable to handle", "Kernel panic - not syncing", "WARNING: CPU: 1 PID: 2 at net/xdp/xsk.c:1 x+0x1/0x2 [veth]",
	}
	if got := r.Complaints(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := lastWords(r); got != ": "+want[0] {
		t.Errorf("%q", got)
	}
	if got := lastWords(&Result{KernelLog: "[ 3.6] reboot: Power down\n"}); got != "" {
		t.Errorf("%q", got)
	}
}
