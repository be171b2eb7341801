// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestDevicesWithoutXDP: on devices whose driver runs no XDP program it runs behind the driver, says so, and accounts for the same. The device
// below these has taken a VLAN tag out of the frame by then, so that a tagged frame of any VLAN counts as untagged, where one that the
// program sees the tag of is not taken.
func TestDevicesWithoutXDP(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 12, "BPF_CMPXCHG")
	addr := netip.MustParsePrefix("10.77.0.12/24")
	for _, tc := range []struct {
		name    string
		device  func(l *testenv.Lab) (*testenv.Iface, error)
		generic bool
		tagged  uint64 // of two tagged frames, how many are counted
	}{
		{"veth", func(l *testenv.Lab) (*testenv.Iface, error) { return l.B.If, l.B.If.AddAddr(addr) }, false, 0},
		{"macvlan", func(l *testenv.Lab) (*testenv.Iface, error) { return l.B.If.Macvlan("x", nil, addr) }, true, 2},
		{"bridge", func(l *testenv.Lab) (*testenv.Iface, error) {
			if err := l.B.If.AddAddr(addr); err != nil {
				return nil, err
			}
			return l.B.If.Bridge("x", addr)
		}, true, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := testenv.NewLabT(t, testenv.Topology{NoIPv6: true})
			x, err := tc.device(l)
			if errors.Is(err, testenv.ErrNotSupported) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			local := netip.AddrPortFrom(addr.Addr(), 9000)
			sink, err := NewSink(64, VerifyPayload)
			if err != nil {
				t.Fatal(err)
			}
			e, err := OpenXDP(netns.Borrow(l.B.NS.FD()), []string{x.Name()}, local, sink)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if got := e.(*xdpEngine).Generic(); slices.Contains(got, x.Name()) != tc.generic {
				t.Errorf("behind the driver of %v", got)
			}
			conn := dialUDP(t, l, local)
			b := make([]byte, stamp.Size)
			arrived := func(n uint64) {
				t.Helper()
				err := testenv.Poll(testenv.Context(t, time.Minute), "every datagram", func() (bool, error) { return sink.Totals().Packets == n, nil })
				if err != nil {
					t.Fatalf("%v: %+v of %d, %v", err, sink.Totals(), n, e.Drops())
				}
			}
			for i, n := range []uint64{0, 1, 2, 2, 4, 3} {
				stamp.Stamp{Run: 7, Sequence: n}.Put(b)
				write(t, conn, b)
				arrived(uint64(i + 1)) // before the next, which may be sent on another processor
			}
			if c := sink.Counts(); c.Received != 5 || c.Duplicate != 1 || c.Reordered != 1 || len(e.Drops()) > 0 {
				t.Errorf("%+v, %v", c, e.Drops())
			}
			for n := range uint64(2) {
				stamp.Stamp{Run: 7, Sequence: 5 + n}.Put(b)
				sendTagged(t, l, x, local, b)
			}
			stamp.Stamp{Run: 7, Sequence: 7}.Put(b)
			write(t, conn, b) // behind them
			arrived(7 + tc.tagged)
			if c := sink.Counts(); c.Received != 6+tc.tagged || c.Lost != 2-tc.tagged {
				t.Errorf("with tagged ones: %+v, %v", c, e.Drops())
			}
		})
	}
}

// sendTagged sends a datagram in a frame with the tag of a VLAN that the receiver has no interface for, as a packet socket does.
func sendTagged(t *testing.T, l *testenv.Lab, to *testenv.Iface, local netip.AddrPort, payload []byte) {
	t.Helper()
	src := l.A.IPv4().As4()
	dst := local.Addr().As4()
	udp := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, 4567), local.Port())
	udp = append(binary.BigEndian.AppendUint16(udp, uint16(8+len(payload))), 0, 0) // without a checksum
	ip := []byte{0x45, 0, 0, byte(28 + len(payload)), 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	ip = append(append(ip, src[:]...), dst[:]...)
	sum := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(ip[i])<<8 + uint32(ip[i+1])
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum&0xffff+sum>>16))
	frame := append(append([]byte{}, to.MAC()...), l.A.If.MAC()...)
	frame = append(frame, 0x81, 0, 0, 5, 8, 0)
	frame = append(append(append(frame, ip...), udp...), payload...)
	fd, err := l.A.NS.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: l.A.If.Index(), Protocol: 0x0081}); err != nil {
		t.Fatal(err)
	}
}
