// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestLinkEvents(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	w := newWatch(t, table)
	index, name := lab.A.If.Index(), lab.A.If.Name()
	must(t, lab.A.If.SetDown())
	if e := w.kind(t, LinkDown, index); e.Name != name {
		t.Errorf("%+v", e)
	}
	if d, _ := table.Device(index); d.Up {
		t.Error("the snapshot came after the event")
	}
	w.kind(t, AddressesChanged, index) // IPv6 addresses go
	must(t, lab.A.If.SetUp())
	w.kind(t, LinkUp, index)
	testenv.Eventually(t, patience, "carrier", func() bool { d, _ := table.Device(index); return d.Carrier })
	must(t, lab.B.If.SetDown())
	w.wait(t, "loss of carrier", func(e Event) bool { return e.Kind == Carrier && e.Interface == index && !e.Carrier })
	must(t, lab.B.If.SetUp())
	w.wait(t, "carrier", func(e Event) bool { return e.Kind == Carrier && e.Interface == index && e.Carrier })
	gen := table.Generation()
	must(t, lab.A.If.Delete())
	if e := w.kind(t, LinkDeleted, index); e.Name != name {
		t.Errorf("%+v", e)
	}
	if _, ok := table.Device(index); ok || table.Generation() <= gen || table.IsLocal(lab.A.IPv4()) {
		t.Error("the deleted device is still there")
	}
}

func TestAddressEvents(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	w := newWatch(t, table)
	for _, s := range []string{"10.88.0.1/24", "fd88::1/64"} {
		p := netip.MustParsePrefix(s)
		grows(t, table, "an address", func() error { return lab.A.If.AddAddr(p) })
		w.kind(t, AddressesChanged, lab.A.If.Index())
		testenv.Eventually(t, patience, "the address", func() bool { return table.IsLocal(p.Addr()) })
		if p.Addr().Is4() && !table.IsBroadcast(addr("10.88.0.255")) {
			t.Error("its broadcast address is none")
		}
		hop, err := table.Resolve(t.Context(), Query{Dst: p.Addr().Next()})
		if err != nil || hop.Source != p.Addr() {
			t.Errorf("%+v, %v", hop, err)
		}
		grows(t, table, "its removal", func() error { return lab.A.If.DeleteAddr(p) })
		testenv.Eventually(t, patience, "the address to go", func() bool { return !table.IsLocal(p.Addr()) })
		if _, err := table.Resolve(t.Context(), Query{Dst: lab.B.IPv4(), Src: p.Addr()}); p.Addr().Is4() && !errorIs(err, ErrSource) {
			t.Errorf("from a removed address: %v", err)
		}
	}
}

// An address that is still being checked for duplicates isn't local yet.
func TestTentativeAddress(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	must(t, lab.A.NS.Sysctl("ipv6/conf/wsk0/accept_dad", "1"))
	must(t, lab.A.NS.Sysctl("ipv6/conf/wsk0/dad_transmits", "1"))
	table := open(t, lab, Options{})
	p := netip.MustParsePrefix("fd88::1/64")
	h := handle(t, lab.A.NS)
	l, err := h.LinkByIndex(lab.A.If.Index())
	must(t, err)
	var tentative, usable bool
	states := make(chan Address, 16)
	defer table.Subscribe(func(e Event) {
		if e.Kind == AddressesChanged {
			for _, a := range table.Addresses(6) {
				if a.IP == p.Addr() {
					states <- a
				}
			}
		}
	})()
	must(t, h.AddrAdd(l, &netlink.Addr{IPNet: ipNet(p.String())}))
	ctx := testenv.Context(t, patience)
	for !usable {
		select {
		case a := <-states:
			if local := table.IsLocal(p.Addr()); a.Tentative && local {
				// It may have become usable since; then the next state says so.
				tentative = true
			} else if a.Tentative {
				tentative = true
			} else {
				usable = local
			}
		case <-ctx.Done():
			t.Fatalf("tentative %v, usable %v", tentative, usable)
		}
	}
	if !tentative {
		t.Error("never was tentative")
	}
}

func TestSubscribeCancel(t *testing.T) {
	var s subscribers
	var a, b int
	var cancelA func()
	cancelA = s.add(func(Event) { a++; cancelA() }) // from within itself
	cancelB := s.add(func(Event) { b++ })
	s.deliver(make([]Event, 2))
	cancelB()
	cancelB()
	s.deliver(make([]Event, 2))
	if a != 1 || b != 2 || len(s.list) != 0 {
		t.Errorf("calls %d and %d, %d left", a, b, len(s.list))
	}
}

// With the ioctl of ifconfig the new MTU is announced once, before IPv6 has taken it over.
func TestMTUByIoctl(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	for _, mtu := range []int{1400, 1600} {
		req, err := unix.NewIfreq(lab.A.If.Name())
		must(t, err)
		req.SetUint32(uint32(mtu))
		must(t, unix.IoctlIfreq(fd, unix.SIOCSIFMTU, req))
		testenv.Eventually(t, patience, "the MTU", func() bool {
			d, _ := table.Device(lab.A.If.Index())
			return d.MTU == mtu && d.MTU6 == mtu
		})
	}
}

// What is neither up nor carrier nor an address is told too.
func TestLinkChanged(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	w := newWatch(t, table)
	mac := net.HardwareAddr{2, 0x77, 0, 0, 9, 9}
	must(t, lab.A.If.SetMAC(mac))
	w.kind(t, LinkChanged, lab.A.If.Index())
	if d, _ := table.Device(lab.A.If.Index()); !bytes.Equal(d.MAC[:], mac) {
		t.Errorf("the snapshot came after the event: %x", d.MAC)
	}
	must(t, lab.A.If.SetMTU(1400))
	w.kind(t, LinkChanged, lab.A.If.Index())
}
