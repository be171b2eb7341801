// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"testing"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

func TestHoldReceive(t *testing.T) {
	Require(t, NetNS)
	for name, end := range map[string]func(*Hold) error{"release": (*Hold).Release, "drop": (*Hold).Drop} {
		t.Run(name, func(t *testing.T) {
			lab := NewLabT(t, Topology{Neighbours: Static, NoIPv6: true})
			r := NewUDPReceiverT(t, lab.B.NS, port(lab.B.IPv4(), 0), UDPReceiverOptions{})
			s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
			// Twice, because a hold must be possible again after one.
			for round := range 2 {
				hold := HoldReceiveT(t, lab.B.If, lab.A.If)
				const n = 200
				for k := range n {
					if err := s.Send(r.Local(), pattern(k)); err != nil {
						t.Fatal(err)
					}
				}
				// Sending hands the frame over before it returns; still, count rather than assume.
				Eventually(t, soon, "frames to be held", func() bool {
					held, err := hold.Held()
					if err != nil {
						t.Fatal(err)
					}
					return held == n
				})
				if got := len(r.Datagrams()); got != 0 {
					t.Fatalf("%d datagrams came through the hold", got)
				}
				if err := end(hold); err != nil {
					t.Fatal(err)
				}
				if name == "release" {
					got, err := r.Wait(Context(t, soon), n)
					if err != nil {
						t.Fatal(err)
					}
					for k, d := range got {
						if len(d.Payload) != k {
							t.Fatalf("round %d: datagram %d has %d bytes: order lost", round, k, len(d.Payload))
						}
					}
				}
				exchangeUDP(t, lab.A, lab.B, lab.A.IPv4(), lab.B.IPv4(), 0, 10)
				if want := map[string]uint64{"release": n}[name]; r.Count() != want*uint64(round+1) {
					t.Errorf("round %d: received %d", round, r.Count())
				}
				r.Reset()
			}
		})
	}
}

// A sender must not block on what is held: the test that holds could not go on.
func TestSenderDoesNotBlock(t *testing.T) {
	Require(t, NetNS)
	lab := NewLabT(t, Topology{Neighbours: Static, NoIPv6: true})
	HoldReceiveT(t, lab.B.If, lab.A.If)
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
	for range 100_000 {
		if err := s.Send(port(lab.B.IPv4(), 9), pattern(1400)); errors.Is(err, unix.EAGAIN) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Error("the buffer of the socket has no end")
}

// The point of a hold: what the kernel has not freed is not completed.
func TestHoldReceiveKeepsCompletionsBack(t *testing.T) {
	Require(t, NetNS|AFXDP)
	lab := NewLabT(t, Topology{NoIPv6: true})
	x, err := openPeerSocket(lab.A.If, 0, xdp.DefaultSocketOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer closePeerSocket(x)
	hold := HoldReceiveT(t, lab.B.If, lab.A.If)
	descs := x.GetDescs(16)
	for k := range descs {
		frame := build(t, false, pattern(k))
		descs[k].Len = uint32(copy(x.GetFrame(descs[k]), frame))
	}
	if n := x.Transmit(descs); n != 16 {
		t.Fatalf("transmitted %d", n)
	}
	if held, err := hold.Held(); held != 16 || err != nil {
		t.Fatalf("held %d (%v)", held, err)
	}
	if n := x.NumCompleted(); n != 0 {
		t.Fatalf("%d completions while held", n)
	}
	if err := hold.Release(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, soon, "completions", func() bool { return x.NumCompleted() == 16 })
}
