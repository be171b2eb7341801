// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
)

// TestPortEntries: what the program is told of sockets, shared keys included.
func TestPortEntries(t *testing.T) {
	hub := newHub(t, fakeHost)
	_, program := addIntake(t, hub)
	has := func(want map[string]bpf.Flags) {
		t.Helper()
		program.mu.Lock()
		defer program.mu.Unlock()
		for s, flags := range want {
			ap := netip.MustParseAddrPort(s)
			if got, ok := program.ports[bpf.Key{Addr: ap.Addr(), Port: ap.Port()}]; !ok || got != flags {
				t.Errorf("%s: %v %v", s, got, ok)
			}
		}
		if len(program.ports) != len(want) {
			t.Errorf("the program has %v, want %v", program.ports, want)
		}
	}
	none := map[string]bpf.Flags{}
	a := bind(t, hub, "[::]:7970", true, releaseAll)
	has(map[string]bpf.Flags{"0.0.0.0:7970": bpf.MatchBroadcast, "[::]:7970": 0})
	b := bind(t, hub, "0.0.0.0:7970", false, releaseAll)
	hub.Unregister(a)
	has(map[string]bpf.Flags{"0.0.0.0:7970": bpf.MatchBroadcast})
	hub.Unregister(b)
	has(none)
	c := bind(t, hub, "127.0.0.1:7971", false, releaseAll)
	has(none)
	hub.Unregister(c)
	if table := hub.ports.find(7970); table != nil || len(hub.sinks) != 0 {
		t.Errorf("table %v, %d sinks are left", table, len(hub.sinks))
	}
}

// TestLateIntake: the program of an interface that comes later gets the ports of all sinks, unless it has been closed
// meanwhile, and they leave it with their sinks.
func TestLateIntake(t *testing.T) {
	hub := newHub(t, fakeHost)
	s := bind(t, hub, "10.0.0.1:7973", false, releaseAll)
	closed := NewIntake(hub, 1, "fake0")
	closed.Prog = &fakeProgram{ports: make(map[bpf.Key]bpf.Flags)}
	closed.Refresh()
	if hub.Add(closed, func() bool { return true }) || hub.Serves(1) {
		t.Error("an intake was added that had ended")
	}
	in, program := addIntake(t, hub)
	if len(program.ports) != 1 || in.Ports() != 1 || !hub.Serves(1) || hub.Serves(2) {
		t.Errorf("the program has %v", program.ports)
	}
	hub.Unregister(s)
	if len(program.ports) != 0 || in.Ports() != 0 {
		t.Errorf("the program has %v afterwards", program.ports)
	}
	hub.Remove(in)
	if hub.Serves(1) {
		t.Error("an intake that was removed serves")
	}
}
