// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestWithoutAddress: a host that has no address yet, as a client of DHCP, sends to 255.255.255.255 and to groups what a socket of the
// kernel's sends, or refuses it as that does, and gets the answers that it gets.
func TestWithoutAddress(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{A: testenv.End{Addrs: []netip.Prefix{}}, NoIPv6: true})
	dp := openDatapath(t, lab, Options{Receive: []string{lab.A.If.Name()}})
	const ours, kernels, server = 7068, 7069, 7067
	index := uint32(lab.A.If.Index())
	c := newClient(t, dp)
	s := c.socket(fmt.Sprintf("0.0.0.0:%d", ours))
	option(t, s, wsk.SOL_SOCKET, wsk.SO_BROADCAST, uint32(1))
	fd, err := lab.A.NS.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for _, o := range []int{unix.SO_BROADCAST, unix.SO_REUSEADDR} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o, 1); err != nil {
			t.Fatal(err)
		}
	}
	// Groups go to members only, as in Winsock.
	err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0), unix.Bind(fd, &unix.SockaddrInet4{Port: kernels}))
	if err != nil {
		t.Fatal(err)
	}
	capture := testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	for _, to := range []string{"255.255.255.255", "224.0.0.1", "239.7.14.1", "10.77.0.2"} {
		for _, named := range []string{"nothing", "IP_PKTINFO", "IP_UNICAST_IF"} {
			what := fmt.Sprintf("to %s by %s", to, named)
			dst := netip.MustParseAddr(to)
			var control, oob []byte
			by := uint32(0)
			switch named {
			case "IP_UNICAST_IF":
				by = index
				fallthrough
			case "nothing":
				option(t, s, wsk.IPPROTO_IP, wsk.IP_UNICAST_IF, binary.BigEndian.AppendUint32(nil, by))
				swapped := binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, by))
				if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_UNICAST_IF, int(int32(swapped))); err != nil {
					t.Fatal(err)
				}
			default:
				control = wsk.AppendPktinfo(nil, netip.IPv4Unspecified(), index)
				oob = unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(index)})
			}
			status := sendOne(t, s, whole([]byte(what)), sockaddr(dst, server), control)
			_, err := unix.SendmsgN(fd, []byte(what), oob, &unix.SockaddrInet4{Addr: dst.As4(), Port: server}, 0)
			if (status == wsk.STATUS_SUCCESS) != (err == nil) {
				t.Errorf("%s: %v, the kernel says %v", what, status, err)
			}
			if err != nil || status != wsk.STATUS_SUCCESS {
				continue
			}
			seen := make(map[uint16]*testenv.Packet)
			if _, err := capture.Wait(testenv.Context(t, waitLimit), func(f testenv.Frame) bool {
				if p, err := testenv.Decode(f.Data); err == nil && string(p.Payload) == what {
					seen[p.SourcePort] = p
				}
				return len(seen) == 2
			}); err != nil {
				t.Fatalf("%s: %v; seen of ports %v", what, err, seen)
			}
			w, k := seen[ours], seen[kernels]
			if w.Source != k.Source || w.Destination != k.Destination || !slices.Equal(w.DestinationMAC, k.DestinationMAC) ||
				!slices.Equal(w.SourceMAC, k.SourceMAC) {
				t.Errorf("%s: from %v (%v) to %v (%v), the kernel's from %v (%v) to %v (%v)", what, w.Source, w.SourceMAC, w.Destination,
					w.DestinationMAC, k.Source, k.SourceMAC, k.Destination, k.DestinationMAC)
			}
		}
	}
	answers(t, lab, dp, fd)
}

// answers sends what a server of DHCP may answer to both sockets, in turn to each address.
func answers(t *testing.T, lab *testenv.Lab, dp *Datapath, fd int) {
	const mine = 7070 // the socket that sends has no catcher
	p := bind(t, dp, fmt.Sprintf("0.0.0.0:%d", mine))
	j := &injector{t, lab}
	for _, to := range []string{"255.255.255.255", "10.77.0.1", "224.0.0.1", "255.255.255.255"} {
		for _, port := range []uint16{mine, 7069} {
			f := frame.Flow{
				SrcMAC: frame.MAC(lab.B.If.MAC()), DstMAC: frame.BroadcastMAC(), TTL: 64,
				Src: netip.AddrPortFrom(lab.B.IPv4(), 7067), Dst: netip.AddrPortFrom(netip.MustParseAddr(to), port),
			}
			if to == "10.77.0.1" {
				f.DstMAC = frame.MAC(lab.A.If.MAC())
			}
			j.send(j.build(f, []byte(to)))
		}
	}
	var toWSK, toHost []string
	eventually(t, "the answers", func() bool {
		for _, d := range p.take() {
			toWSK = append(toWSK, string(d.Payload))
		}
		buf := make([]byte, 100)
		for {
			n, _, err := unix.Recvfrom(fd, buf, 0)
			if err != nil {
				break
			}
			toHost = append(toHost, string(buf[:n]))
		}
		return len(toWSK) > 1 && len(toHost) > 1
	})
	if !slices.Equal(toWSK, toHost) {
		t.Errorf("the WSK socket got what was for %v, the kernel's what was for %v", toWSK, toHost)
	}
}
