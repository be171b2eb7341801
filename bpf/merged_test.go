// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// sendSegmented has the kernel cut one buffer into datagrams (UDP_SEGMENT), as QUIC does.
func sendSegmented(t *testing.T, h *testenv.Host, to netip.AddrPort, size, segment int) {
	t.Helper()
	must(t, h.NS.Do(func() error {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		defer c.Close()
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		var set error
		err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, segment) })
		if err = errors.Join(err, set); err != nil {
			return err
		}
		_, err = c.Write(make([]byte, size))
		return err
	}))
}

// TestSegmentsStayApart: datagrams that a neighbour on the same machine left to its device to cut arrive cut. Where the program runs
// in the kernel's receive path they come to it in one buffer, which the kernel must have.
func TestSegmentsStayApart(t *testing.T) {
	for _, v := range variants {
		for _, mode := range []Mode{Native, Generic} {
			t.Run(v.name+"/"+mode.String(), func(t *testing.T) {
				lab := labT(t, testenv.Topology{Neighbours: testenv.Static, Offloads: true})
				p := loadT(t, v.opts)
				r := receiverT(t, lab.B, 0)
				must(t, p.SetSocket(0, r.s.FD()))
				attachT(t, lab.B, p, mode)
				for _, dst := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
					at := netip.AddrPortFrom(dst, 4433)
					must(t, p.AddPort(Key{at.Addr(), at.Port()}, 0))
					kernel := testenv.NewUDPReceiverT(t, lab.B.NS, at, testenv.UDPReceiverOptions{})
					sendSegmented(t, lab.A, at, 250, 100)
					var sizes []int
					if mode == Native {
						headers := map[bool]int{true: offUDP4 + 8, false: offUDP6 + 8}[dst.Is4()]
						for _, frame := range r.frames(t, 3) {
							sizes = append(sizes, len(frame)-headers)
						}
					} else {
						got, err := kernel.Wait(testenv.Context(t, wait), 3)
						must(t, err)
						for _, d := range got {
							sizes = append(sizes, len(d.Payload))
						}
					}
					if want := []int{100, 100, 50}; !slices.Equal(sizes, want) {
						t.Errorf("%v: datagrams of %d bytes, want %d", dst, sizes, want)
					}
				}
			})
		}
	}
}

// tapT makes a tap device with an address in the namespace and returns the guest's end and the device.
func tapT(t *testing.T, ns *testenv.Namespace, address string) (guest, ifindex int) {
	t.Helper()
	must(t, ns.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(fd) })
		req, err := unix.NewIfreq("tap0")
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return err
		}
		l, err := netlink.LinkByName("tap0")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		guest, ifindex = fd, l.Attrs().Index
		return errors.Join(netlink.AddrAdd(l, addr), netlink.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0x77, 0, 0, 0, 0x0b}),
			netlink.LinkSetUp(l))
	}))
	return guest, ifindex
}

// TestGuestSegmentsStayApart: a tap device gives the program what a guest has left uncut, in its native mode too.
func TestGuestSegmentsStayApart(t *testing.T) {
	if !testenv.KernelAtLeast(6, 2) {
		return // no guest may leave UDP uncut
	}
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			lab := labT(t, testenv.Topology{})
			guest, ifindex := tapT(t, lab.B.NS, "10.78.0.2/24")
			at := netip.MustParseAddrPort("10.78.0.2:4433")
			kernel := testenv.NewUDPReceiverT(t, lab.B.NS, at, testenv.UDPReceiverOptions{})
			var s *xdp.Socket
			must(t, lab.B.NS.Do(func() (err error) {
				s, err = xdp.Open(xdp.Options{IfIndex: ifindex, Mode: xdp.ModeCopy, RxChunks: 64})
				return err
			}))
			defer func() { must(t, s.Close()) }()
			p := loadT(t, Options{})
			must(t, p.SetSocket(0, s.FD()), p.AddPort(Key{at.Addr(), at.Port()}, 0))
			a, err := attach(lab.B, ifindex, p, mode)
			must(t, err)
			defer func() { must(t, a.Close()) }()

			frame := to("10.78.0.2:4433").from("10.78.0.1").sized(250).bytes()
			copy(frame[offIP+10:], []byte{0, 0})
			binary.BigEndian.PutUint16(frame[offIP+10:], ^onesSum(frame[offIP:offUDP4]))
			binary.BigEndian.PutUint16(frame[offUDP4+6:], pseudoSum(netip.MustParseAddr("10.78.0.1"), at.Addr(), 258))
			// struct virtio_net_hdr: needs a checksum, VIRTIO_NET_HDR_GSO_UDP_L4, headers, segments, where the checksum goes.
			header := []byte{1, 5}
			for _, v := range []uint16{offUDP4 + 8, 100, offUDP4, 6} {
				header = binary.NativeEndian.AppendUint16(header, v)
			}
			if _, err := unix.Write(guest, append(header, frame...)); err != nil {
				t.Fatal(err)
			}
			var sizes []int
			got, err := kernel.Wait(testenv.Context(t, wait), 3)
			for _, d := range got {
				sizes = append(sizes, len(d.Payload))
			}
			if want := []int{100, 100, 50}; !slices.Equal(sizes, want) {
				t.Errorf("datagrams of %d bytes, want %d: %v", sizes, want, err)
			}
			if c, err := p.Counters(); err != nil || c[ReasonUDPPartial] != 1 || c[ReasonRedirected] != 0 {
				t.Errorf("counters %v, %v", c, err)
			}
		})
	}
}

// TestMergedFollowsAttachments: one attachment behind the kernel's receive path is enough, and when the last has gone a program in the
// driver takes open checksums again.
func TestMergedFollowsAttachments(t *testing.T) {
	lab := labT(t, testenv.Topology{})
	p := loadT(t, Options{})
	must(t, p.SetSocket(0, socketT(t)), p.AddPort(key("10.77.0.2:4433"), 0))
	frame := to("10.77.0.2:4433").bytes()
	binary.BigEndian.PutUint16(frame[offUDP4+6:], pseudoSum(from4.Addr(), netip.MustParseAddr("10.77.0.2"), 24))
	expect := func(want Reason, when string) {
		t.Helper()
		if got := run(t, p, frame, nil); got != want {
			t.Errorf("%s: judged %v, want %v", when, got, want)
		}
	}
	open := func(ifindex int, mode Mode) *Attachment {
		t.Helper()
		a, err := attach(lab.B, ifindex, p, mode)
		must(t, err)
		return a
	}
	expect(ReasonRedirected, "attached nowhere")
	generic := open(loopbackIndex, Generic)
	expect(ReasonUDPPartial, "generic")
	native := open(lab.B.If.Index(), Native)
	expect(ReasonUDPPartial, "generic, and native behind it")
	must(t, native.Close(), generic.Close())
	open(lab.B.If.Index(), Native)
	expect(ReasonRedirected, "native alone")
}
