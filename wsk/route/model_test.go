// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// step is one message.
type step struct {
	typ  uint16
	body message
}

const (
	flagsUp   = unix.IFF_UP | unix.IFF_LOWER_UP
	flagsDown = 0
)

func ethernet(index int32, name string, flags uint32) message {
	return linkMessage(0, unix.ARPHRD_ETHER, index, flags).name(name).mtu(1500).
		attr(unix.IFLA_ADDRESS, []byte{2, 0, 0, 0, 0, byte(index)})
}

// baseModel has one device, one address and one neighbour.
func baseModel() *model {
	m := newModel()
	for _, s := range []step{
		{unix.RTM_NEWLINK, ethernet(7, "a0", flagsUp)},
		{unix.RTM_NEWADDR, addressMessage(7, "10.0.0.1/24", 0)},
		{unix.RTM_NEWNEIGH, neighbourMessage(7, addr("10.0.0.9"), unix.NUD_REACHABLE, 2, 0, 0, 0, 0, 9)},
	} {
		m.apply(s.typ, s.body, newChanges())
	}
	return m
}

func TestModelChanges(t *testing.T) {
	neigh := func(state uint16, mac ...byte) message { return neighbourMessage(7, addr("10.0.0.9"), state, mac...) }
	macA, macB := []byte{2, 0, 0, 0, 0, 9}, []byte{2, 0, 0, 0, 0, 0xb}
	tests := map[string]struct {
		steps      []step
		bump       bool // outright, or for a neighbour that is in use
		revalidate bool
		events     []Event
	}{
		"same-again": {steps: []step{
			{unix.RTM_NEWLINK, ethernet(7, "a0", flagsUp)}, {unix.RTM_NEWADDR, addressMessage(7, "10.0.0.1/24", 0)},
			{unix.RTM_NEWNEIGH, neigh(unix.NUD_REACHABLE, macA...)},
		}},
		"renamed": {
			steps: []step{{unix.RTM_NEWLINK, ethernet(7, "a1", flagsUp)}}, bump: true,
			events: []Event{{Kind: LinkChanged, Interface: 7, Name: "a1", Carrier: true}},
		},
		"mtu": {
			steps: []step{{unix.RTM_NEWLINK, ethernet(7, "a0", flagsUp).mtu(9000)}}, bump: true,
			events: []Event{{Kind: LinkChanged, Interface: 7, Name: "a0", Carrier: true}},
		},
		"mac": {
			steps: []step{{unix.RTM_NEWLINK, ethernet(7, "a0", flagsUp).attr(unix.IFLA_ADDRESS, macB)}}, bump: true,
			events: []Event{{Kind: LinkChanged, Interface: 7, Name: "a0", Carrier: true}},
		},
		"master": {
			steps: []step{{unix.RTM_NEWLINK, ethernet(7, "a0", flagsUp).attr32(unix.IFLA_MASTER, 4)}}, bump: true,
			events: []Event{{Kind: LinkChanged, Interface: 7, Name: "a0", Carrier: true}},
		},
		"down": {
			steps: []step{{unix.RTM_NEWLINK, ethernet(7, "a0", flagsDown)}}, revalidate: true,
			events: []Event{{Kind: LinkDown, Interface: 7, Name: "a0"}, {Kind: Carrier, Interface: 7, Name: "a0"}},
		},
		"down-and-up-in-one-batch": {
			steps: []step{
				{unix.RTM_NEWLINK, ethernet(7, "a0", unix.IFF_LOWER_UP)}, {unix.RTM_NEWLINK, ethernet(7, "a0", flagsUp)},
			},
			revalidate: true,
			events: []Event{
				{Kind: LinkDown, Interface: 7, Name: "a0", Carrier: true},
				{Kind: LinkUp, Interface: 7, Name: "a0", Carrier: true},
			},
		},
		"carrier-lost": {
			steps: []step{{unix.RTM_NEWLINK, ethernet(7, "a0", unix.IFF_UP)}}, revalidate: true,
			events: []Event{{Kind: Carrier, Interface: 7, Name: "a0"}},
		},
		"added": {
			steps: []step{{unix.RTM_NEWLINK, ethernet(8, "a8", flagsUp)}}, bump: true, revalidate: true,
			events: []Event{
				{Kind: LinkAdded, Interface: 8, Name: "a8", Carrier: true},
				{Kind: LinkUp, Interface: 8, Name: "a8", Carrier: true}, {Kind: Carrier, Interface: 8, Name: "a8", Carrier: true},
			},
		},
		"deleted": {
			steps: []step{{unix.RTM_DELLINK, ethernet(7, "a0", flagsDown)}}, bump: true,
			events: []Event{{Kind: LinkDeleted, Interface: 7, Name: "a0"}},
		},
		"left-its-bridge": {steps: []step{{unix.RTM_DELLINK, linkMessage(unix.AF_BRIDGE, 1, 7, 0)}}},
		"ipv6-mtu": {steps: []step{{unix.RTM_NEWLINK, linkMessage(unix.AF_INET6, 1, 7, 0).attr(unix.IFLA_PROTINFO,
			message(nil).attr(unix.IFLA_INET6_CONF, message(nil).u32(0).u32(0).u32(1280)))}}, bump: true},
		"address-added":           {steps: []step{{unix.RTM_NEWADDR, addressMessage(7, "10.0.0.2/24", 0)}}, bump: true},
		"address-removed":         {steps: []step{{unix.RTM_DELADDR, addressMessage(7, "10.0.0.1/24", 0)}}, bump: true},
		"unknown-address-removed": {steps: []step{{unix.RTM_DELADDR, addressMessage(7, "10.0.0.77/24", 0)}}},
		"route":                   {steps: []step{{unix.RTM_NEWROUTE, nil}}, bump: true},
		"route-removed":           {steps: []step{{unix.RTM_DELROUTE, nil}}, bump: true},
		"rule":                    {steps: []step{{unix.RTM_NEWRULE, nil}}, bump: true},
		"rule-removed":            {steps: []step{{unix.RTM_DELRULE, nil}}, bump: true},
		"next-hop":                {steps: []step{{unix.RTM_NEWNEXTHOP, nil}}, bump: true},
		"next-hop-removed":        {steps: []step{{unix.RTM_DELNEXTHOP, nil}}, bump: true},
		"configuration":           {steps: []step{{unix.RTM_NEWNETCONF, nil}}, revalidate: true},
		"neighbour-states-with-the-same-mac": {steps: []step{
			{unix.RTM_NEWNEIGH, neigh(unix.NUD_STALE, macA...)}, {unix.RTM_NEWNEIGH, neigh(unix.NUD_DELAY, macA...)},
			{unix.RTM_NEWNEIGH, neigh(unix.NUD_PROBE, macA...)}, {unix.RTM_NEWNEIGH, neigh(unix.NUD_REACHABLE, macA...)},
		}},
		"neighbour-moved":     {steps: []step{{unix.RTM_NEWNEIGH, neigh(unix.NUD_REACHABLE, macB...)}}, bump: true},
		"neighbour-failed":    {steps: []step{{unix.RTM_NEWNEIGH, neigh(unix.NUD_FAILED)}}, bump: true},
		"neighbour-forgotten": {steps: []step{{unix.RTM_DELNEIGH, neigh(unix.NUD_FAILED)}}},
		"neighbour-forgotten-and-back": {steps: []step{
			{unix.RTM_DELNEIGH, neigh(0)}, {unix.RTM_NEWNEIGH, neigh(unix.NUD_INCOMPLETE)},
			{unix.RTM_NEWNEIGH, neigh(unix.NUD_REACHABLE, macA...)},
		}},
		"neighbour-forgotten-and-back-elsewhere": {steps: []step{
			{unix.RTM_DELNEIGH, neigh(0)}, {unix.RTM_NEWNEIGH, neigh(unix.NUD_INCOMPLETE)},
			{unix.RTM_NEWNEIGH, neigh(unix.NUD_REACHABLE, macB...)},
		}, bump: true},
		"neighbour-moved-and-moved-back": {steps: []step{
			{unix.RTM_NEWNEIGH, neigh(unix.NUD_REACHABLE, macB...)}, {unix.RTM_NEWNEIGH, neigh(unix.NUD_REACHABLE, macA...)},
		}, bump: true},
		"neighbour-forgotten-and-failed": {steps: []step{
			{unix.RTM_DELNEIGH, neigh(0)}, {unix.RTM_NEWNEIGH, neigh(unix.NUD_FAILED)},
		}, bump: true},
		"garbage": {steps: []step{{unix.RTM_NEWLINK, message{1, 2, 3}}, {0xffff, ethernet(9, "x", flagsUp)}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, c := baseModel(), newChanges()
			for _, s := range test.steps {
				m.apply(s.typ, s.body, c)
			}
			bump := c.bump || c.routes || c.every
			for _, tr := range c.touched {
				bump = bump || tr.bump
			}
			if bump != test.bump || c.revalidate != test.revalidate {
				t.Errorf("bump %v, revalidate %v; want %v, %v", bump, c.revalidate, test.bump, test.revalidate)
			}
			if diff := cmp.Diff(test.events, c.events, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// What a deleted device had goes with it, in the snapshot too.
func TestModelDeletedDevice(t *testing.T) {
	m := baseModel()
	before := m.snapshot(nil, newChanges())
	c := newChanges()
	m.apply(unix.RTM_DELLINK, ethernet(7, "a0", 0), c)
	after := m.snapshot(before, c)
	if len(after.devices)+len(after.names)+len(after.addresses.all)+len(after.macs) != 0 {
		t.Errorf("left over: %+v", after)
	}
	if len(before.devices) != 1 || len(before.addresses.all) != 1 || len(before.macs) != 1 {
		t.Errorf("a published snapshot has changed: %+v", before)
	}
	if _, ok := c.addressed[7]; !ok {
		t.Error("the loss of the addresses isn't noted")
	}
}

// A snapshot that is read anew reports what was missed, and only that.
func TestModelReplace(t *testing.T) {
	m, fresh := baseModel(), baseModel()
	fresh.apply(unix.RTM_NEWNEIGH, neighbourMessage(7, addr("10.0.0.9"), unix.NUD_STALE, 2, 0, 0, 0, 0, 0xb), newChanges())
	fresh.apply(unix.RTM_NEWLINK, ethernet(8, "a8", 0), newChanges())
	fresh.apply(unix.RTM_DELADDR, addressMessage(7, "10.0.0.1/24", 0), newChanges())
	c := newChanges()
	m.replace(fresh, c, sameDevice)
	if !c.every || !c.devices || !c.addresses || !c.neighbours {
		t.Errorf("changes %+v", c)
	}
	tr := c.touched[neighbourKey{7, addr("10.0.0.9")}]
	if !tr.bump || !tr.usable || tr.mac != [6]byte{2, 0, 0, 0, 0, 0xb} {
		t.Errorf("neighbour %+v", tr)
	}
	if len(c.events) != 1 || c.events[0].Kind != LinkAdded || c.events[0].Interface != 8 {
		t.Errorf("events %+v", c.events)
	}
	c = newChanges()
	m.replace(newModel(), c, sameDevice)
	if len(c.events) != 2 || c.events[0].Kind != LinkDeleted || c.events[1].Kind != LinkDeleted || len(m.neighbours) != 0 {
		t.Errorf("events %+v, model %+v", c.events, m)
	}
}

func TestAddresses(t *testing.T) {
	m, c := baseModel(), newChanges()
	for _, s := range []step{
		{unix.RTM_NEWLINK, linkMessage(0, unix.ARPHRD_LOOPBACK, 1, unix.IFF_LOOPBACK|flagsUp).name("lo").mtu(65536)},
		{unix.RTM_NEWLINK, ethernet(8, "a8", flagsUp)},
		{unix.RTM_NEWADDR, addressMessage(1, "127.0.0.1/8", 0)},
		{unix.RTM_NEWADDR, addressMessage(7, "fe80::1/64", 0)},
		{unix.RTM_NEWADDR, addressMessage(8, "fe80::1/64", 0)},
		{unix.RTM_NEWADDR, addressMessage(8, "fd00::1/64", unix.IFA_F_TENTATIVE)},
		{unix.RTM_NEWADDR, addressMessage(8, "10.1.0.1/31", 0)},
	} {
		m.apply(s.typ, s.body, c)
	}
	table := bareTable()
	table.snap.Store(m.snapshot(nil, c))
	for ip, want := range map[string]bool{
		"10.0.0.1": true, "::ffff:10.0.0.1": true, "10.0.0.2": false, "127.0.0.1": true, "127.1.2.3": true, "128.0.0.1": false,
		"fe80::1": true, "fe80::1%7": true, "fe80::1%a8": true, "fe80::1%1": false, "fe80::1%nosuch": false,
		"fd00::1": false, "10.1.0.1": true, "0.0.0.0": false, "::1": false,
	} {
		if got := table.IsLocal(addr(ip)); got != want {
			t.Errorf("IsLocal(%s) = %v", ip, got)
		}
	}
	if table.IsLocal(netip.Addr{}) {
		t.Error("the invalid address is local")
	}
	for ip, want := range map[string]bool{
		"255.255.255.255": true, "10.0.0.255": true, "10.0.0.0": false, "10.0.0.1": false, "::ffff:10.0.0.255": true,
		"10.1.0.1": false, "10.1.0.0": false, "127.255.255.255": true, "ff02::1": false,
	} {
		if got := table.IsBroadcast(addr(ip)); got != want {
			t.Errorf("IsBroadcast(%s) = %v", ip, got)
		}
	}
	for ip, want := range map[string]int{"fe80::1": 7, "fe80::1%8": 8, "fe80::1%a0": 7, "10.0.0.1": 7, "10.0.0.9": 0, "fe80::1%1": 0} {
		if got, ok := table.AddressDevice(addr(ip)); ok != (want != 0) || ok && got != want {
			t.Errorf("AddressDevice(%s) = %d, %v; want %d", ip, got, ok, want)
		}
	}
	if all, four, six := len(table.Addresses(0)), len(table.Addresses(4)), len(table.Addresses(6)); all != 6 || four != 3 || six != 3 {
		t.Errorf("addresses: %d, %d, %d", all, four, six)
	}
	if d, ok := table.DeviceByName("a8"); !ok || d.Index != 8 {
		t.Errorf("a8: %+v, %v", d, ok)
	}
	if _, ok := table.DeviceByName("nosuch"); ok {
		t.Error("a device called nosuch")
	}
	if list := table.Devices(); len(list) != 3 || list[0].Index != 1 || list[2].Index != 8 {
		t.Errorf("devices %+v", list)
	}
}

func TestGroupMAC(t *testing.T) {
	table := bareTable()
	m := baseModel()
	m.apply(unix.RTM_NEWLINK, ethernet(8, "ptp", flagsUp|unix.IFF_POINTOPOINT).attr(unix.IFLA_BROADCAST, []byte{2, 2, 2, 2, 2, 2}),
		newChanges())
	m.apply(unix.RTM_NEWLINK, ethernet(9, "noarp", flagsUp|unix.IFF_NOARP), newChanges())
	s := m.snapshot(nil, newChanges())
	table.snap.Store(s)
	for _, test := range []struct {
		index int
		ip    string
		want  [6]byte
	}{
		{7, "239.255.1.2", [6]byte{1, 0, 0x5e, 0x7f, 1, 2}},
		{7, "224.128.0.251", [6]byte{1, 0, 0x5e, 0, 0, 251}},
		{7, "ff02::1:ff00:1234", [6]byte{0x33, 0x33, 0xff, 0, 0x12, 0x34}},
		{7, "255.255.255.255", [6]byte{255, 255, 255, 255, 255, 255}},
		{7, "10.0.0.255", [6]byte{255, 255, 255, 255, 255, 255}},
		{8, "10.9.9.9", [6]byte{2, 2, 2, 2, 2, 2}},
		{9, "10.9.9.9", [6]byte{2, 0, 0, 0, 0, 9}},
	} {
		if got, ok := s.fixedMAC(neighbourKey{test.index, addr(test.ip)}); !ok || got != test.want {
			t.Errorf("%s on %d: %x, %v; want %x", test.ip, test.index, got, ok, test.want)
		}
	}
	if mac, ok := s.fixedMAC(neighbourKey{7, addr("10.0.0.9")}); ok {
		t.Errorf("an ordinary neighbour is fixed to %x", mac)
	}
}

func TestCache(t *testing.T) {
	var c routeCache
	q := question{dst: addr("10.0.0.9")}
	hop := Hop{Interface: 3, MTU: 1500}
	if c.store(q, hop, 5, c.revalidations.Load()) {
		t.Error("the first answer differs")
	}
	if got, ok := c.lookup(q, 5, 1e9); !ok || got != hop {
		t.Errorf("got %+v, %v", got, ok)
	}
	if _, ok := c.lookup(q, 6, 1e9); ok {
		t.Error("an answer outlived its generation")
	}
	if _, ok := c.lookup(q, 5, 0); ok {
		t.Error("an answer outlived its time")
	}
	if c.store(q, hop, 5, c.revalidations.Load()) {
		t.Error("the same answer differs")
	}
	smaller := hop
	smaller.MTU = 1400
	if !c.store(q, smaller, 5, c.revalidations.Load()) {
		t.Error("another answer doesn't differ")
	}
	if c.store(q, hop, 6, c.revalidations.Load()) {
		t.Error("an answer of another generation differs")
	}
	if c.store(q, smaller, 5, c.revalidations.Load()) {
		t.Error("a late answer differs")
	}
	if got, ok := c.lookup(q, 6, 1e9); !ok || got != hop {
		t.Errorf("a late answer replaced the current one: %+v, %v", got, ok)
	}
	for i := range cacheLimit {
		c.store(question{dst: q.dst, mark: uint32(i + 1)}, hop, 6, c.revalidations.Load())
	}
	if list, complete := c.given(6, netip.Addr{}); complete || len(list) > cacheLimit {
		t.Errorf("%d answers, complete %v", len(list), complete)
	}
	if list, complete := c.given(7, netip.Addr{}); !complete || len(list) != 0 {
		t.Errorf("generation 7 has %d answers, complete %v", len(list), complete)
	}
}

// An answer that the kernel gave before a revalidation and that is stored after it was on nobody's list: it ends its
// generation instead of being believed.
func TestCacheAnswerPassedByRevalidation(t *testing.T) {
	var c routeCache
	q, hop := question{dst: addr("10.0.0.9")}, Hop{Interface: 3, MTU: 1500}
	c.store(question{dst: addr("10.0.0.8")}, hop, 5, c.revalidations.Load())
	begun := c.revalidations.Load() // and now the kernel is asked
	if list, _ := c.given(5, netip.Addr{}); len(list) != 1 {
		t.Fatalf("%d answers", len(list))
	}
	if !c.store(q, hop, 5, begun) {
		t.Error("the generation goes on with an answer that was not looked at again")
	}
	if _, ok := c.lookup(q, 5, 1e9); ok {
		t.Error("the answer was kept")
	}
	if c.store(q, hop, 5, c.revalidations.Load()) {
		t.Error("an answer of after the revalidation ends the generation")
	}
}

func TestOptions(t *testing.T) {
	if err := (Options{}).validate(); err != nil {
		t.Error(err)
	}
	if err := (Options{NetNS: -1, ReceiveBuffer: -1, CacheTTL: -1, NeighbourTimeout: -1, KeepAliveFor: -1}).validate(); err == nil {
		t.Error("negative options are accepted")
	}
	if _, err := Open(Options{CacheTTL: -1}); err == nil {
		t.Error("Open accepts negative options")
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]interface{ String() string }{
		"macvlan": TypeMACVLAN, "DeviceType(99)": DeviceType(99), "broadcast": Broadcast, "Kind(0)": Kind(0),
		"link deleted": LinkDeleted, "EventKind(0)": EventKind(0),
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// bareTable is a table without a kernel behind it, as one that was closed.
func bareTable() *Table {
	t := &Table{done: make(chan struct{}), sysctls: &sysctls{}}
	close(t.done)
	return t
}

func sameDevice(Device, Device) bool { return true }
