// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestAddressSource: the list, its changes, and the source for a destination.
func TestAddressSource(t *testing.T) {
	lab, dp := companionLab(t, testenv.Topology{})
	list := func(family uint16) (out []netip.Addr) {
		for _, a := range dp.Addresses(family) {
			if a.Port != 0 || (a.Scope != 0) != ipaddr.Load(&a.Addr).IsLinkLocal6() {
				t.Errorf("address %+v", a)
			}
			if !ipaddr.Load(&a.Addr).IsLinkLocal6() {
				out = append(out, netip.AddrFrom16(a.Addr).Unmap())
			}
		}
		return out
	}
	if got := list(wsk.AF_INET); !slices.Equal(got, []netip.Addr{lab.A.IPv4()}) {
		t.Errorf("IPv4: %v", got)
	}
	if got := list(wsk.AF_INET6); !slices.Equal(got, []netip.Addr{lab.A.IPv6()}) {
		t.Errorf("IPv6: %v", got)
	}
	changes := make(chan struct{}, 100)
	cancel := dp.WatchAddresses(func() { changes <- struct{}{} })
	extra := netip.MustParsePrefix("10.77.0.33/24")
	if err := lab.A.If.AddAddr(extra); err != nil {
		t.Fatal(err)
	}
	for !slices.Contains(list(wsk.AF_INET), extra.Addr()) {
		<-changes
	}
	if err := lab.A.If.DeleteAddr(extra); err != nil {
		t.Fatal(err)
	}
	for slices.Contains(list(wsk.AF_INET), extra.Addr()) {
		<-changes
	}
	cancel()
	cancel()
	for _, tc := range []struct {
		to, want string
		status   wsk.NTSTATUS
	}{
		{"10.77.0.2", "10.77.0.1", wsk.STATUS_SUCCESS},
		{"fd77::2", "fd77::1", wsk.STATUS_SUCCESS},
		{"10.77.0.1", "10.77.0.1", wsk.STATUS_SUCCESS},
		{"127.0.0.1", "127.0.0.1", wsk.STATUS_SUCCESS},
		{"192.0.2.1", "", wsk.STATUS_NETWORK_UNREACHABLE},
	} {
		got, status := dp.SourceFor(wsk.Address{Addr: netip.MustParseAddr(tc.to).As16()})
		if status != tc.status || status == wsk.STATUS_SUCCESS && netip.AddrFrom16(got.Addr).Unmap() != netip.MustParseAddr(tc.want) {
			t.Errorf("source for %s: %v, %v", tc.to, netip.AddrFrom16(got.Addr), status)
		}
	}
	if _, status := dp.SourceFor(wsk.Address{Addr: netip.MustParseAddr("fe80::2").As16(), Scope: 999}); status != wsk.STATUS_INVALID_ADDRESS_COMPONENT {
		t.Errorf("source on an interface that is not there: %v", status)
	}
}

// TestNewAddressesReceive: an address that comes later is received on through AF_XDP, and one that goes is the kernel's business again.
func TestNewAddressesReceive(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{}, Options{})
	bind(t, dp, "0.0.0.0:7980")
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	for _, prefix := range []string{"10.77.0.50/24", "10.99.0.1/24"} {
		extra := netip.MustParsePrefix(prefix)
		if err := lab.B.If.AddRoute(extra.Masked(), lab.A.IPv4()); err != nil && prefix == "10.99.0.1/24" {
			t.Fatal(err)
		}
		if err := lab.A.If.AddAddr(extra); err != nil {
			t.Fatal(err)
		}
		before := received(t, dp).Delivered
		eventually(t, "datagrams to the new address through AF_XDP", func() bool {
			if err := sender.Send(netip.AddrPortFrom(extra.Addr(), 7980), []byte("new")); err != nil {
				t.Fatal(err)
			}
			return received(t, dp).Delivered > before
		})
		if err := lab.A.If.DeleteAddr(extra); err != nil {
			t.Fatal(err)
		}
		passed := programCounters(dp)[bpf.ReasonNotLocal]
		eventually(t, "the program to leave the address to the kernel", func() bool {
			_ = sender.Send(netip.AddrPortFrom(extra.Addr(), 7980), []byte("old"))
			return programCounters(dp)[bpf.ReasonNotLocal] > passed
		})
	}
}

// TestStackedArrival: the interface of a datagram is the one that the kernel would name: the macvlan's or the bridge's.
func TestStackedArrival(t *testing.T) {
	t.Run("macvlan", func(t *testing.T) {
		lab, dp := receiveLab(t, testenv.Topology{}, Options{})
		arrivesOn(t, lab, dp, "10.77.0.1", lab.A.If.Index()) // before the macvlan can answer for this address too
		upper, err := lab.A.If.Macvlan("upper", net.HardwareAddr{2, 0x77, 0, 0, 1, 1}, netip.MustParsePrefix("10.77.0.60/24"))
		if err != nil {
			t.Fatal(err)
		}
		arrivesOn(t, lab, dp, "10.77.0.60", upper.Index())
	})
	t.Run("bridge", func(t *testing.T) {
		testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
		lab := testenv.NewLabT(t, testenv.Topology{})
		br, err := lab.A.If.Bridge("br0", lab.A.Addrs...)
		if err != nil {
			t.Fatal(err)
		}
		dp := openDatapath(t, lab, Options{Receive: []string{lab.A.If.Name()}})
		arrivesOn(t, lab, dp, "10.77.0.1", br.Index())
	})
}

// TestInterfaceChanges: what a frame is judged by follows the interface. With the old MAC address every frame was for another
// station; a port of a bridge receives as the bridge, also when the bridge has been there for long.
func TestInterfaceChanges(t *testing.T) {
	t.Run("MAC", func(t *testing.T) {
		lab, dp := receiveLab(t, testenv.Topology{}, Options{})
		arrivesOn(t, lab, dp, "10.77.0.1", lab.A.If.Index())
		if err := lab.A.If.SetMAC(net.HardwareAddr{2, 0x77, 0, 0, 9, 9}); err != nil {
			t.Fatal(err)
		}
		if err := lab.B.If.DeleteNeighbour(lab.A.IPv4()); err != nil {
			t.Fatal(err)
		}
		arrivesOn(t, lab, dp, "10.77.0.1", lab.A.If.Index())
	})
	t.Run("port", func(t *testing.T) {
		lab, dp := receiveLab(t, testenv.Topology{}, Options{})
		br, err := lab.A.If.Bridge("br0", lab.A.Addrs...)
		if err != nil {
			t.Fatal(err)
		}
		counts := func(as *testenv.Iface) {
			t.Helper()
			eventually(t, "frames to count as those of "+as.Name(), func() bool { return dp.hub.Serves(uint32(as.Index())) == true })
		}
		counts(br)
		arrivesOn(t, lab, dp, "10.77.0.1", br.Index())
		setMaster(t, lab.A, nil)
		counts(lab.A.If)
		setMaster(t, lab.A, br)
		counts(br)
	})
}

// setMaster makes the interface of a host a port of a bridge, or of none.
func setMaster(t *testing.T, host *testenv.Host, br *testenv.Iface) {
	t.Helper()
	h, err := host.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	port, err := h.LinkByIndex(host.If.Index())
	if err == nil && br == nil {
		err = h.LinkSetNoMaster(port)
	} else if err == nil {
		err = h.LinkSetMasterByIndex(port, br.Index())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// arrivesOn sends to an address until it comes through AF_XDP, on the interface it should be.
func arrivesOn(t *testing.T, lab *testenv.Lab, dp *Datapath, to string, ifindex int) {
	t.Helper()
	p := bind(t, dp, "0.0.0.0:0")
	defer p.close()
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	before := delivered(dp)
	sent := 0
	eventually(t, "a datagram through AF_XDP", func() bool {
		if sender.Send(netip.AddrPortFrom(netip.MustParseAddr(to), p.addr().Port()), []byte("x")) == nil {
			sent++
		}
		return delivered(dp) > before
	})
	eventually(t, "a delivery", func() bool { return p.count() > 0 })
	p.catcher.mu.Lock()
	defer p.catcher.mu.Unlock()
	for _, d := range p.got {
		if int(d.IfIndex) != ifindex {
			t.Errorf("%s; want interface %d", describe(&d), ifindex)
		}
	}
}
