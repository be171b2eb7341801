// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"maps"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// TestSharedLink: while others get what comes in on an interface as well, the program has no groups and no broadcasts of it, and has
// them again when they have gone. A VLAN device is no other, whatever its MAC address.
func TestSharedLink(t *testing.T) {
	vlan := route.Device{
		Index: 2, MAC: [6]byte{2, 0, 0, 0, 0, 9}, Type: route.TypeVLAN, Parent: 1, Up: true,
		VLAN: route.VLAN{ID: 5, Proto: frame.EtherTypeVLAN},
	}
	host := fakeHost
	host.devices = append(host.devices[:len(host.devices):len(host.devices)], vlan)
	hub := newHub(t, host)
	in, program := addIntake(t, hub)
	s := bind(t, hub, "[::]:7975", true, releaseAll)
	group := hub.AddGroup(s, netip.MustParseAddr("239.1.2.3"), 1)
	key := func(text string) bpf.Key {
		ap := netip.MustParseAddrPort(text)
		return bpf.Key{Addr: ap.Addr(), Port: ap.Port()}
	}
	alone := map[bpf.Key]bpf.Flags{key("0.0.0.0:7975"): bpf.MatchBroadcast, key("[::]:7975"): 0, key("239.1.2.3:7975"): 0}
	shared := map[bpf.Key]bpf.Flags{key("0.0.0.0:7975"): 0, key("[::]:7975"): 0}
	for _, step := range []struct {
		what     string
		stations []frame.MAC
		news     bool
		want     map[bpf.Key]bpf.Flags
	}{
		{"nobody else", nil, false, alone},
		{"a VLAN device", []frame.MAC{frame.MAC(vlan.MAC)}, true, alone},
		{"a stranger", []frame.MAC{{2, 0, 0, 0, 0, 77}}, true, shared},
		{"the same", []frame.MAC{{2, 0, 0, 0, 0, 77}}, false, shared},
		{"another with the interface's own address", []frame.MAC{frame.MAC(host.devices[0].MAC)}, true, shared},
		{"nobody else any more", nil, true, alone},
	} {
		if news := in.SetStations(step.stations); news != step.news {
			t.Errorf("%s: news %v", step.what, news)
		}
		in.Refresh()
		program.mu.Lock()
		if !maps.Equal(program.ports, step.want) {
			t.Errorf("%s: the program has %v, want %v", step.what, program.ports, step.want)
		}
		program.mu.Unlock()
	}
	hub.RemoveGroup(group)
	hub.Unregister(s)
	if len(program.ports) != 0 {
		t.Errorf("the program has %v afterwards", program.ports)
	}
}
