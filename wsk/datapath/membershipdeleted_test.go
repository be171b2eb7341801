// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// passing is a device of A that comes and goes, always with the same index, with its other end in B.
type passing struct {
	t   *testing.T
	lab *testenv.Lab
}

const passingIndex = 91

func (p passing) come() {
	p.t.Helper()
	h, err := p.lab.A.NS.Netlink()
	if err != nil {
		p.t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index = "passing", passingIndex
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = "passed", netlink.NsFd(p.lab.B.NS.FD())
	if err := h.LinkAdd(veth); err != nil {
		p.t.Fatal(err)
	}
	for _, end := range []struct {
		ns           *testenv.Namespace
		name, v4, v6 string
	}{{p.lab.A.NS, "passing", "10.91.0.1/24", "fd91::1/64"}, {p.lab.B.NS, "passed", "10.91.0.2/24", "fd91::2/64"}} {
		i, err := testenv.FindIface(end.ns, end.name)
		if err == nil {
			err = errors.Join(i.AddAddr(netip.MustParsePrefix(end.v4)), i.AddAddr(netip.MustParsePrefix(end.v6)))
		}
		if err != nil {
			p.t.Fatal(err)
		}
		h, err := end.ns.Netlink()
		if err == nil {
			err = h.LinkSetUp(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: i.Index()}})
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p passing) leave() {
	p.t.Helper()
	h, err := p.lab.A.NS.Netlink()
	if err != nil {
		p.t.Fatal(err)
	}
	link := netlink.NewLinkAttrs()
	link.Index = passingIndex
	if err := h.LinkDel(&netlink.Dummy{LinkAttrs: link}); err != nil {
		p.t.Fatal(err)
	}
}

// TestMembershipEndsWithInterface: a membership goes with its interface, so that the group can be joined anew on the next one of the
// same index, and as often as interfaces come and go, where a socket of the kernel's keeps what it has joined until it leaves, and
// has room for 20 (igmp_max_memberships).
func TestMembershipEndsWithInterface(t *testing.T) {
	eachWay(t, testenv.Topology{}, func(t *testing.T, lab *testenv.Lab, dp *Datapath) {
		device := passing{t, lab}
		for _, tc := range []struct{ bind, group string }{
			{"0.0.0.0:7720", "239.7.7.20"}, {"10.77.0.1:7721", "239.7.7.21"}, {"[::]:7722", "ff15::7722"},
		} {
			p := bind(t, dp, tc.bind)
			group := netip.MustParseAddr(tc.group)
			join := wsk.Membership{Group: group.As16(), IfIndex: passingIndex}
			rounds := 3
			if tc.bind == "0.0.0.0:7720" {
				rounds = 22
			}
			for round := range rounds {
				device.come()
				eventually(t, "a membership on the new interface", func() bool {
					status := p.Change(join)
					if status != wsk.STATUS_SUCCESS && status != wsk.STATUS_ADDRESS_ALREADY_EXISTS {
						t.Fatalf("round %d: join: %v", round, status)
					}
					return status == wsk.STATUS_SUCCESS
				})
				if round == rounds-1 {
					there, err := testenv.FindIface(lab.B.NS, "passed")
					if err != nil {
						t.Fatal(err)
					}
					sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{
						Source: netip.AddrPortFrom(wildcard(group), 0), Interface: there.Index()})
					var got []wsk.Datagram
					eventually(t, "a datagram of the group", func() bool { // the link is just coming up
						_ = sender.Send(netip.AddrPortFrom(group, p.addr().Port()), []byte("member"))
						got = append(got, p.take()...)
						return len(got) > 0
					})
					if d := got[0]; d.IfIndex != passingIndex || d.Cast != wsk.Multicast {
						t.Errorf("%s", describe(&d))
					}
				}
				device.leave()
			}
			eventually(t, "the end of the sockets on the group", func() bool { return socketsOn(t, lab, group) == 0 })
			p.close()
		}
	})
}

// TestKernelKeepsMemberships is what TestMembershipEndsWithInterface says of the kernel's sockets.
func TestKernelKeepsMemberships(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	device := passing{t, lab}
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	mreq := &unix.IPMreqn{Multiaddr: [4]byte{239, 7, 7, 20}, Ifindex: passingIndex}
	for round, want := range []error{nil, unix.EADDRINUSE} {
		device.come()
		if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, mreq); !errors.Is(err, want) {
			t.Errorf("round %d: %v, want %v", round, err, want)
		}
		device.leave()
	}
}

func wildcard(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
