// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestOverflowIsCounted: what comes while a receiver does not read is received later or counted as what the kernel had no
// room for, while the socket is open and behind it; with a larger buffer all of it is received.
func TestOverflowIsCounted(t *testing.T) {
	lab, h := newHost(t, testenv.Topology{NoIPv6: true})
	const n = 700 // the kernel's queue between the interfaces holds a thousand
	flood := func(name string) (lost uint64) {
		t.Helper()
		p := bind(t, h, "10.77.0.1:0")
		held, open := make(chan struct{}), make(chan struct{})
		p.mu.Lock()
		p.hook = func(*wsk.Datagram) {
			close(held)
			<-open
			p.hook = nil
		}
		p.mu.Unlock()
		sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort("10.77.0.2:0")})
		send := func() {
			t.Helper()
			if err := sender.Send(p.addr(), pattern(18)); err != nil {
				t.Fatal(err)
			}
		}
		send()
		<-held
		before := h.Overflowed()
		for range n {
			send()
		}
		close(open)
		eventually(t, name+": every datagram to be received or counted", func() bool {
			return uint64(p.count())+h.Overflowed()-before == n+1
		})
		lost = h.Overflowed() - before
		p.close()
		if again := h.Overflowed() - before; again != lost {
			t.Errorf("%s: %d after the socket was closed, %d before", name, again, lost)
		}
		return lost
	}
	h.Buffer = 64 << 10
	if lost := flood("small"); lost == 0 {
		t.Error("there was room for all, and this test tests nothing")
	}
	h.Buffer = 32 << 20
	if testenv.Check(testenv.Root) != nil {
		return // the kernel allows that to who may administrate the network only
	}
	if lost := flood("larger"); lost != 0 {
		t.Errorf("%d of %d did not fit %d bytes", lost, n, h.Buffer)
	}
	var got int
	p := bind(t, h, "10.77.0.1:0")
	err := p.companion.control(func(fd int) (err error) {
		got, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		return err
	})
	if err != nil || got < h.Buffer {
		t.Errorf("a buffer of %d bytes, %v", got, err)
	}
}
