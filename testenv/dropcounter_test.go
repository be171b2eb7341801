// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDropCounterCountsWhatItSays(t *testing.T) {
	Require(t, NetNS|XDPProgram)
	for _, c := range []struct {
		opts               DropCounterOptions
		matched, delivered int
	}{
		{DropCounterOptions{}, 10, 0},
		{DropCounterOptions{Port: 7}, 2, 4},
		{DropCounterOptions{Pass: true}, 10, 6},
		{DropCounterOptions{Port: 7, Generic: true}, 2, 4},
	} {
		t.Run(strconv.Itoa(int(c.opts.Port))+"-pass-"+strconv.FormatBool(c.opts.Pass), func(t *testing.T) {
			lab := NewLabT(t, Topology{}) // dynamic: resolution must work through the program
			d := NewDropCounterT(t, lab.B.If, c.opts)
			var receivers []*UDPReceiver
			for _, ip := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
				for _, p := range []uint16{7, 9} {
					receivers = append(receivers, NewUDPReceiverT(t, lab.B.NS, port(ip, p), UDPReceiverOptions{}))
				}
			}
			for _, host := range [][2]netip.Addr{{lab.A.IPv4(), lab.B.IPv4()}, {lab.A.IPv6(), lab.B.IPv6()}} {
				s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(host[0], 0), Fragmentation: FragmentAllow})
				// Whole to 7, and to both in two fragments.
				for _, send := range []struct {
					port uint16
					size int
				}{{7, 50}, {9, 2000}, {7, 2000}} {
					if err := s.Send(port(host[1], send.port), pattern(send.size)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := d.Wait(Context(t, soon), uint64(c.matched)); err != nil {
				t.Fatal(err)
			}
			Eventually(t, soon, "what passes to be delivered", func() bool {
				var n uint64
				for _, r := range receivers {
					n += r.Count()
				}
				return n == uint64(c.delivered)
			})
			if n, err := d.Count(); n != uint64(c.matched) || err != nil {
				t.Errorf("counted %d (%v), want %d", n, err, c.matched)
			}
			if n, _ := d.Bytes(); n < uint64(c.matched*60) {
				t.Errorf("counted %d bytes", n)
			}
			if n, err := d.Other(); n == 0 || err != nil {
				t.Errorf("nothing else passed (%v), but neighbours were resolved", err)
			}
		})
	}
}

func TestDropCounterRefusesAnotherProgram(t *testing.T) {
	Require(t, NetNS|XDPProgram)
	lab := NewLabT(t, Topology{PeerXDP: XDPDrop})
	if c, err := NewDropCounter(lab.B.If, DropCounterOptions{}); err == nil {
		c.Close()
		t.Error("a second program was attached")
	} else if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "wsk1") {
		t.Errorf("got %v", err)
	}
	if n, err := lab.Counter.Count(); n != 0 || err != nil {
		t.Errorf("counter: %d, %v", n, err)
	}
}

func TestDropCounterOnJumboFrames(t *testing.T) {
	Require(t, NetNS|XDPProgram)
	lab := NewLabT(t, Topology{MTU: 9000, PeerXDP: XDPDrop, Neighbours: Static})
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
	if err := s.Send(port(lab.B.IPv4(), 9), pattern(8900)); err != nil {
		t.Fatal(err)
	}
	if err := lab.Counter.Wait(Context(t, soon), 1); err != nil {
		t.Error(err)
	}
}
