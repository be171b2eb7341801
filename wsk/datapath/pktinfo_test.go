// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestReplyAsReceived: an answer may leave with the address and the interface that a datagram was received with, also where
// the address is another interface's: a host answers for all its addresses on all its interfaces. What the kernel's socket
// refuses is refused.
func TestReplyAsReceived(t *testing.T) {
	for _, way := range []struct {
		name string
		lab  func(t *testing.T) (*testenv.Lab, *client)
	}{
		{"AF_XDP", func(t *testing.T) (*testenv.Lab, *client) { return newLab(t, testenv.Topology{}, Options{}) }},
		{"kernel", func(t *testing.T) (*testenv.Lab, *client) { return slowLab(t, testenv.Topology{}) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			lab, c := way.lab(t)
			lo, err := testenv.FindIface(lab.A.NS, "lo")
			if err != nil {
				t.Fatal(err)
			}
			for _, add := range []struct {
				iface *testenv.Iface
				addr  string
			}{{lo, "10.99.0.1/32"}, {lo, "fd99::1/128"}, {lo, "fe80::99/64"}, {lab.A.If, "fe80::a/64"}} {
				if err := add.iface.AddAddr(netip.MustParsePrefix(add.addr)); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the address to be known", func() bool {
					_, ok := c.dp.routes.AddressDevice(netip.MustParsePrefix(add.addr).Addr())
					return ok
				})
			}
			for _, tc := range []struct{ name, bind, source, to string }{
				{"address of loopback v4", "0.0.0.0:7870", "10.99.0.1", "10.77.0.2:7871"},
				{"address of loopback v6", "[::]:7872", "fd99::1", "[fd77::2]:7873"},
				{"own address v4", "0.0.0.0:7874", "10.77.0.1", "10.77.0.2:7875"},
				{"own link-local address", "[::]:7876", "fe80::a", "[fd77::2]:7877"},
				{"link-local address of another interface", "[::]:7878", "fe80::99", "[fd77::2]:7879"},
				{"nobody's address v4", "0.0.0.0:7880", "10.99.0.9", "10.77.0.2:7881"},
				{"nobody's address v6", "[::]:7882", "fd99::9", "[fd77::2]:7883"},
			} {
				t.Run(tc.name, func(t *testing.T) {
					source, to := netip.MustParseAddr(tc.source), netip.MustParseAddrPort(tc.to)
					kernel := sendWithPktinfo(t, lab.A.NS, source, lab.A.If.Index(), to)
					receiver := testenv.NewUDPReceiverT(t, lab.B.NS, to, testenv.UDPReceiverOptions{})
					control := wsk.AppendPktinfo(nil, source, uint32(lab.A.If.Index()))
					status := sendOne(t, c.socket(tc.bind), whole([]byte("reply")), wsk.NewSockaddr(to), control)
					if kernel != nil {
						if status != wsk.STATUS_INVALID_ADDRESS_COMPONENT {
							t.Errorf("%v, where the kernel's socket says: %v", status, kernel)
						}
						return
					}
					mustSucceed(t, "SendTo", status)
					got, err := receiver.Wait(testenv.Context(t, waitLimit), 1)
					if err != nil {
						t.Fatal(err)
					}
					if from := got[0].Source.Addr().WithZone(""); from != source {
						t.Errorf("from %v, want %v", from, source)
					}
				})
			}
		})
	}
}

// sendWithPktinfo sends an empty datagram through a socket of the kernel's, with source and interface prescribed.
func sendWithPktinfo(t *testing.T, ns *testenv.Namespace, source netip.Addr, ifindex int, to netip.AddrPort) error {
	t.Helper()
	domain, level, typ := unix.AF_INET, unix.IPPROTO_IP, unix.IP_PKTINFO
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(to.Port())}
	info := make([]byte, unix.SizeofInet4Pktinfo) // ifindex, spec_dst, addr
	if source.Is4() {
		sa.(*unix.SockaddrInet4).Addr = to.Addr().As4()
		binary.NativeEndian.PutUint32(info, uint32(ifindex))
		copy(info[4:], source.AsSlice())
	} else {
		domain, level, typ = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
		info = make([]byte, unix.SizeofInet6Pktinfo) // addr, ifindex
		copy(info, source.AsSlice())
		binary.NativeEndian.PutUint32(info[16:], uint32(ifindex))
	}
	fd, err := ns.Socket(domain, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	oob := make([]byte, unix.CmsgSpace(len(info)))
	binary.NativeEndian.PutUint64(oob, uint64(unix.CmsgLen(len(info))))
	binary.NativeEndian.PutUint32(oob[8:], uint32(level))
	binary.NativeEndian.PutUint32(oob[12:], uint32(typ))
	copy(oob[unix.CmsgLen(0):], info)
	return unix.Sendmsg(fd, nil, oob, sa, 0)
}
