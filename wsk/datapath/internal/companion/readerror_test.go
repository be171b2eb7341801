// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestErrorDelivery: an ICMP error reaches a socket that asks for errors, and no other.
//
// Checklist item 67.
func TestErrorDelivery(t *testing.T) {
	_, h := newHost(t, testenv.Topology{})
	for _, tc := range []struct {
		bind, to   string
		proto      uint8
		typ, code  uint8
		dualFamily bool
	}{
		{"10.77.0.1:7520", "10.77.0.2:7999", wsk.IPPROTO_ICMP, 3, 3, false},
		{"[fd77::1]:7521", "[fd77::2]:7999", wsk.IPPROTO_ICMPV6, 1, 4, false},
		{"[::]:7522", "10.77.0.2:7999", wsk.IPPROTO_ICMP, 3, 3, true},
	} {
		p, status := tryBind(t, h, wsk.BindRequest{Local: netip.MustParseAddrPort(tc.bind), DualStack: tc.dualFamily})
		mustSucceed(t, "bind", status)
		to := netip.MustParseAddrPort(tc.to)
		for _, asked := range []bool{false, true} {
			p.Configure(wsk.ReceiveOptions{Errors: asked})
			before := h.Stats.ICMPErrors.Load()
			provoke(t, p, to)
			eventually(t, "the ICMP error", func() bool { return h.Stats.ICMPErrors.Load() > before })
			if !asked {
				if p.count() != 0 {
					t.Error("an error was delivered that nobody asked for")
				}
				continue
			}
			d := p.wait(1)[0]
			if d.Err == nil || *d.Err != (wsk.ReceiveError{Protocol: tc.proto, Type: tc.typ, Code: tc.code}) || len(d.Payload) != 0 ||
				netip.AddrPortFrom(netip.AddrFrom16(d.Source.Addr).Unmap(), d.Source.Port) != to {
				t.Errorf("%s", describe(&d))
			}
		}
		p.close()
	}
}

// provoke sends from the companion socket itself, to a port where nobody listens.
func provoke(t *testing.T, p *port, to netip.AddrPort) {
	t.Helper()
	sa, err := p.companion.sockaddr(mappedFor(p.companion.six, to))
	if err != nil {
		t.Fatal(err)
	}
	err = p.companion.control(func(fd int) error { return unix.Sendto(fd, []byte("?"), 0, sa) })
	if err != nil {
		t.Fatal(err)
	}
}

func mappedFor(six bool, ap netip.AddrPort) netip.AddrPort {
	if six {
		return ipaddr.Map(ap)
	}
	return ap
}

// TestErrorWhileNotWritable: an ICMP error that comes while the send buffer is full is an event of its own, which the
// runtime's poller takes for a descriptor that can't be waited on. The reader goes on all the same.
func TestErrorWhileNotWritable(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{NoIPv6: true})
	p := bind(t, h, "10.77.0.1:7890")
	p.Configure(wsk.ReceiveOptions{Errors: true})
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	to := func(s string) unix.Sockaddr {
		ap := netip.MustParseAddrPort(s)
		return &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
	}
	err := p.companion.control(func(fd int) error {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 20_000); err != nil {
			return err
		}
		// A neighbour that does not answer keeps what is sent to it for seconds.
		for range 20 {
			if err := unix.Sendto(fd, make([]byte, 1000), unix.MSG_DONTWAIT, to("10.77.0.99:9")); err != nil {
				return err
			}
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if n, err := unix.Poll(fds, 0); n == 0 && err == nil {
				return unix.Sendto(fd, nil, unix.MSG_DONTWAIT, to("10.77.0.2:9")) // nobody is bound there
			}
		}
		return errors.New("the socket does not become unwritable")
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := p.wait(1)[0]; d.Err == nil {
		t.Errorf("%s", describe(&d))
	}
	if err := sender.Send(p.addr(), []byte("after")); err != nil {
		t.Fatal(err)
	}
	if d := p.wait(1)[0]; string(d.Payload) != "after" {
		t.Errorf("%s", describe(&d))
	}
}
