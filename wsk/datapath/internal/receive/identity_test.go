// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// TestIdentity: what the program and the receiver are told of a host's devices and addresses.
func TestIdentity(t *testing.T) {
	tag := func(id, proto uint16) route.VLAN { return route.VLAN{ID: id, Proto: proto} }
	mac := func(last byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, last} }
	address := func(prefix string, on int) route.Address {
		p := netip.MustParsePrefix(prefix)
		return route.Address{IP: p.Addr(), Prefix: p.Masked(), Interface: on}
	}
	tentative, announced := address("10.0.0.9/24", 1), address("10.0.5.1/24", 9)
	tentative.Tentative = true
	announced.Broadcast = netip.MustParseAddr("10.0.5.77")
	routes := fakeRoutes{
		devices: []route.Device{
			{Index: 1, MAC: mac(1), Type: route.TypePhysical, Up: true},
			{Index: 2, MAC: mac(1), Type: route.TypeVLAN, Parent: 1, VLAN: tag(5, frame.EtherTypeVLAN), Up: true},
			{Index: 3, MAC: mac(1), Type: route.TypeVLAN, Parent: 1, VLAN: tag(6, frame.EtherTypeVLAN)},           // down
			{Index: 4, MAC: mac(1), Type: route.TypeVLAN, Parent: 1, VLAN: tag(7, frame.EtherTypeQinQ), Up: true}, // a service tag
			{Index: 5, MAC: mac(5), Type: route.TypeMACVLAN, Parent: 1, Up: true},
			{Index: 6, MAC: mac(6), Type: route.TypeMACVLAN, Parent: 1}, // down
			{Index: 7, MAC: mac(7), Type: route.TypeMACVLAN, Parent: 9, Up: true},
			{Index: 9, MAC: mac(9), Type: route.TypePhysical, Up: true},
		},
		addresses: []route.Address{
			address("127.0.0.1/8", 8), address("10.0.0.1/24", 1), tentative, announced, address("10.0.6.1/31", 1), address("10.0.7.1/32", 9),
			address("fd00::1/64", 9), address("fe80::1/64", 1), address("fe80::2/64", 2), address("fe80::5/64", 5), address("fe80::9/64", 9),
		},
	}
	program := &fakeProgram{}
	in := &Intake{Hub: &Hub{Routes: routes}, IfIndex: 1, Prog: program}
	in.Refresh()
	list := func(what string, got []netip.Addr, want ...string) {
		t.Helper()
		var text []string
		for _, a := range got {
			text = append(text, a.String())
		}
		slices.Sort(text)
		slices.Sort(want)
		if !slices.Equal(text, want) {
			t.Errorf("%s: %v, want %v", what, text, want)
		}
	}
	// A link-local address is this host's on the interfaces whose frames come in here only.
	list("local", program.local, "10.0.0.1", "10.0.5.1", "10.0.6.1", "10.0.7.1", "fd00::1", "fe80::1", "fe80::2", "fe80::5")
	list("broadcast", program.broadcasts, "10.0.0.255", "10.0.5.77", "10.0.5.255")
	if !slices.Equal(program.vlans, []uint16{5}) {
		t.Errorf("VLANs %v", program.vlans)
	}
	id := in.identity.Load()
	for _, tc := range []struct {
		name    string
		mac     [6]byte
		vlans   []uint16
		ifindex uint32 // 0: not for this host
		service bool   // the outer tag is a service tag
	}{
		{"own", mac(1), nil, 1, false},
		{"group", [6]byte{0x33, 0x33}, nil, 1, false},
		{"priority", mac(1), []uint16{0}, 1, false},
		{"VLAN", mac(1), []uint16{5}, 2, false},
		{"group in a VLAN", [6]byte{0x33, 0x33}, []uint16{5}, 2, false},
		{"VLAN that is down", mac(1), []uint16{6}, 0, false},
		{"no VLAN of this host", mac(1), []uint16{8}, 0, false},
		{"service tag of the same number", mac(1), []uint16{5}, 0, true},
		{"service tag of priority", mac(1), []uint16{0}, 0, true},
		{"VLAN in a VLAN", mac(1), []uint16{5, 6}, 0, false},
		{"VLAN behind a priority", mac(1), []uint16{0, 8}, 0, false},
		{"macvlan", mac(5), nil, 5, false},
		{"macvlan that is down", mac(6), nil, 0, false},
		{"macvlan of another", mac(7), nil, 0, false},
		{"another interface", mac(9), nil, 0, false},
		{"another host", mac(77), nil, 0, false},
	} {
		p := frame.Packet{DstMAC: frame.MAC(tc.mac), NumVLANs: uint8(len(tc.vlans))}
		for i, id := range tc.vlans {
			p.VLANs[i] = frame.VLANTag{TPID: frame.EtherTypeVLAN, ID: id}
		}
		if tc.service {
			p.VLANs[0].TPID = frame.EtherTypeQinQ
		}
		if got, mine := id.arrivedOn(&p); mine != (tc.ifindex != 0) || mine && got != tc.ifindex {
			t.Errorf("%s: on %d, mine %v", tc.name, got, mine)
		}
	}
	for ifindex, want := range map[uint32]bool{0: true, 1: true, 2: true, 3: false, 4: false, 5: true, 6: false, 7: false, 9: false} {
		if got := id.serves(ifindex); got != want {
			t.Errorf("serves %d: %v", ifindex, got)
		}
	}
	if id.partial || !id.shared {
		t.Errorf("partial %v, shared %v", id.partial, id.shared)
	}
}

// lateRoutes is a network whose device has another MAC address at every look; the first to ask for the addresses is
// kept waiting.
type lateRoutes struct {
	looks, asked atomic.Int32
	goOn         chan struct{}
}

func (r *lateRoutes) Devices() []route.Device {
	d := fakeHost.devices[0]
	d.MAC[5] = byte(r.looks.Add(1))
	return []route.Device{d}
}

func (r *lateRoutes) Addresses(int) []route.Address {
	if r.asked.Add(1) == 1 {
		<-r.goOn
	}
	return nil
}

// TestRefreshesAtOnce: of two looks at the routing table, as Open and an event make them, the one that has seen the
// older state does not come last.
func TestRefreshesAtOnce(t *testing.T) {
	routes := &lateRoutes{goOn: make(chan struct{})}
	in := &Intake{Hub: &Hub{Routes: routes}, IfIndex: 1, Prog: &fakeProgram{}}
	var both sync.WaitGroup
	both.Go(in.Refresh)
	eventually(t, "the first look", func() bool { return routes.asked.Load() == 1 })
	second := make(chan struct{})
	both.Go(func() {
		in.Refresh()
		close(second)
	})
	select {
	case <-second:
	case <-time.After(20 * time.Millisecond): // it had its chance
	}
	close(routes.goOn)
	both.Wait()
	if mac := in.identity.Load().mac; int32(mac[5]) != routes.looks.Load() {
		t.Errorf("MAC address %v after %d looks", mac, routes.looks.Load())
	}
}
