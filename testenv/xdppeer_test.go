// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/asavie/xdp"
	"golang.org/x/sys/unix"
)

func TestXDPPeerRecordsFramesAndLetsNeighboursResolve(t *testing.T) {
	Require(t, NetNS|AFXDP|XDPProgram)
	for name, top := range map[string]Topology{"one-queue": {}, "two-queues": {A: End{TX: 2, RX: 2}, B: End{TX: 2, RX: 2}}} {
		t.Run(name, func(t *testing.T) {
			lab := NewLabT(t, top)
			p := NewXDPPeerT(t, lab.B.If, XDPPeerOptions{})
			n := 0
			for _, host := range [][2]netip.Addr{{lab.A.IPv4(), lab.B.IPv4()}, {lab.A.IPv6(), lab.B.IPv6()}} {
				// Several sources, so that both queues get some.
				for range 8 {
					s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{Source: port(host[0], 0), Fragmentation: FragmentAllow, TOS: 4})
					if err := s.Send(port(host[1], 4444), pattern(2000)); err != nil {
						t.Fatal(err)
					}
					n++
				}
			}
			frames, err := p.Wait(Context(t, soon), 2*n)
			if err != nil {
				t.Fatal(err)
			}
			// The queues run beside each other, so the datagrams are put together in whatever order they came.
			got, err := DecodeAll(frames)
			if err != nil || len(got) != n {
				t.Fatalf("%d datagrams, want %d (%v)", len(got), n, err)
			}
			for _, d := range got {
				if !bytes.Equal(d.Payload, pattern(2000)) || d.DestinationPort != 4444 || d.TOS != 4 {
					t.Errorf("wrong datagram %v > %v", d.Source, d.Destination)
				}
			}
			st, err := p.Stats()
			if err != nil || st.Received != uint64(2*n) || st.KernelDropped != 0 || st.Reflected != 0 {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

func TestXDPPeerReflects(t *testing.T) {
	Require(t, NetNS|AFXDP|XDPProgram)
	lab := NewLabT(t, Topology{})
	p := NewXDPPeerT(t, lab.B.If, XDPPeerOptions{Reflect: true, CountOnly: true})
	for _, host := range [][2]netip.Addr{{lab.A.IPv4(), lab.B.IPv4()}, {lab.A.IPv6(), lab.B.IPv6()}} {
		r := NewUDPReceiverT(t, lab.A.NS, port(host[0], 0), UDPReceiverOptions{})
		// The reflected datagram comes back to the sender's own port; the receiver has it, so it sends too.
		const n = 3000
		for k := range n {
			size := k % 1400
			if err := r.conn.Control(func(fd uintptr) {
				if err := unix.Sendto(int(fd), pattern(size), 0, sockaddr(port(host[1], 4444), 0)); err != nil {
					t.Error(err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			// There is never more on the way than a veth holds for a program that is slower.
			if k%128 == 127 {
				if err := r.WaitCount(Context(t, soon), uint64(k+1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := r.Wait(Context(t, soon), n)
		if err != nil {
			t.Fatal(err)
		}
		for k, d := range got {
			if !bytes.Equal(d.Payload, pattern(k%1400)) || d.Source != port(host[1], 4444) {
				t.Fatalf("datagram %d: %d bytes from %v", k, len(d.Payload), d.Source)
			}
		}
	}
	if st, err := p.Stats(); err != nil || st.Reflected != 6000 || st.Unreflected != 0 || len(p.Frames()) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestXDPPeerTakesEverything(t *testing.T) {
	Require(t, NetNS|AFXDP|XDPProgram)
	lab := NewLabT(t, Topology{NoIPv6: true})
	p := NewXDPPeerT(t, lab.B.If, XDPPeerOptions{Everything: true})
	s := NewUDPSenderT(t, lab.A.NS, UDPSenderOptions{})
	if err := s.Send(port(lab.B.IPv4(), 1), nil); err != nil {
		t.Fatal(err)
	}
	frames, err := p.Wait(Context(t, soon), 1)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := Decode(frames[0].Data); err != nil || d.EtherType != 0x0806 {
		t.Errorf("first frame has type %#x (%v), want the ARP request", d.EtherType, err)
	}
}

// The library leaves rings mapped, which would keep queue, namespace and link for the life of the process.
func TestXDPPeerReleasesQueueAndNamespace(t *testing.T) {
	Require(t, NetNS|AFXDP|XDPProgram)
	watch := NewNamespaceT(t)
	lab, err := NewLab(Topology{})
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	sentinel := addSentinel(t, lab.B.NS, watch, "sentinel")
	before := len(socketMappings())
	for round := range 3 {
		p, err := NewXDPPeer(lab.B.If, XDPPeerOptions{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if got := len(socketMappings()); got != before+4 {
			t.Errorf("round %d: %d rings mapped, want 4", round, got-before)
		}
		for range 2 {
			if err := p.Close(); err != nil {
				t.Errorf("round %d: close: %v", round, err)
			}
		}
		if got := len(socketMappings()); got != before {
			t.Errorf("round %d: %d rings stay mapped", round, got-before)
		}
		if _, err := p.Stats(); !errors.Is(err, ErrClosed) {
			t.Errorf("stats after close: %v", err)
		}
	}
	if err := lab.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sentinel.AwaitGone(soon); err != nil {
		t.Errorf("the namespace lives on: %v", err)
	}
}

// addSentinel puts a veth between a namespace and one that watches it: the watched namespace is gone when the
// watcher's end is.
func addSentinel(t *testing.T, watched, watcher *Namespace, name string) *Iface {
	t.Helper()
	_, far, err := newVeth(watched, End{Name: name, TX: 1, RX: 1}, 0, watcher, End{Name: name, TX: 1, RX: 1}, 1500)
	if err != nil {
		t.Fatal(err)
	}
	return far
}

func TestXDPPeerOnABusyQueueFailsAndLeavesNothing(t *testing.T) {
	Require(t, NetNS|AFXDP|XDPProgram)
	lab := NewLabT(t, Topology{})
	before := takeInventory()
	first, err := NewXDPPeer(lab.B.If, XDPPeerOptions{Generic: true})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := NewXDPPeer(lab.B.If, XDPPeerOptions{Generic: true}); err == nil {
		second.Close()
		t.Error("two sockets on one queue")
	}
	if got := len(socketMappings()) - len(before.mappings); got != 4 {
		t.Errorf("%d rings mapped, want the first peer's 4", got)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	for _, leak := range before.leaks(settleTime) {
		t.Error(leak)
	}
}

// On an errno it does not know the library panics; the peer must end with an error, not the process.
func TestXDPPeerTurnsLibraryPanicsIntoErrors(t *testing.T) {
	Require(t, NetNS|AFXDP)
	lab := NewLabT(t, Topology{})
	s, err := openPeerSocket(lab.B.If, 0, xdp.DefaultSocketOptions)
	if err != nil {
		t.Fatal(err)
	}
	defer closePeerSocket(s)
	if err := lab.B.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stop)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the library does not panic on ENETDOWN any more: simplify serve")
			}
		}()
		s.Transmit(s.GetDescs(1))
	}()
	// The frame is still in the ring, so serve kicks it again.
	p := &XDPPeer{iface: lab.B.If, stop: stop, log: newRecord[Frame]()}
	err = p.serve(s)
	if err == nil || !strings.Contains(err.Error(), "wsk1") || !strings.Contains(err.Error(), "sendto failed") {
		t.Errorf("serve ended with %v", err)
	}
}

func TestReflectFrame(t *testing.T) {
	for _, six := range []bool{false, true} {
		f := build(t, six, pattern(40))
		if !reflectFrame(f) {
			t.Fatalf("six %v: refused", six)
		}
		p, err := Decode(f)
		if err != nil || p.SourcePort != 2000 || p.DestinationPort != 1000 ||
			!bytes.Equal(p.SourceMAC, net.HardwareAddr(defaultMACs["B"])) ||
			!bytes.Equal(p.Payload, pattern(40)) {
			t.Errorf("six %v: %+v, %v", six, p, err)
		}
	}
	// Only the first fragment has ports; the others' payload must not change.
	for k, f := range fragments(t, build(t, false, pattern(3000)), 800) {
		before := bytes.Clone(f)
		if !reflectFrame(f) {
			t.Fatal("refused a fragment")
		}
		if changed := !bytes.Equal(before[34:], f[34:]); changed != (k == 0) {
			t.Errorf("fragment %d: payload changed: %v", k, changed)
		}
	}
	for name, f := range map[string][]byte{"empty": nil, "arp": append(make([]byte, 12), 8, 6),
		"short": append(make([]byte, 12), 8, 0, 0x45),
		"tcp":   append(append(make([]byte, 12), 8, 0), append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 9, 6}, make([]byte, 40)...)...)} {
		if reflectFrame(f) {
			t.Errorf("%s was reflected", name)
		}
	}
}
