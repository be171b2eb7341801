// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/cable"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// The tests TestNICCarrier… have the host pull the cable of a NIC, which WSKXDP_CABLE says that it does.

const endA, endB = 0, 1

// newCableLab is newNICLab with cables that can be pulled. They are plugged at the end of the test.
func newCableLab(t *testing.T) *nicLab {
	t.Helper()
	nicNames(t)
	if os.Getenv(cable.Variable) == "" {
		t.Skipf("%s needs somebody to pull cables, found by %s: make test-vm runs it in a guest", t.Name(), cable.Variable)
	}
	l := newNICLab(t)
	t.Cleanup(func() {
		l.cable(endA, true)
		l.cable(endB, true)
	})
	return l
}

// cable pulls or plugs the cable of an end. The driver hears of it a moment later.
func (l *nicLab) cable(end int, up bool) {
	l.t.Helper()
	if err := cable.Set(testenv.Context(l.t, cable.Timeout), os.Getenv(cable.Variable), end, up); err != nil {
		l.t.Error(err)
	}
}

// knowEachOther gives both ends the other's address for good, so that nothing waits for neighbours but for the link.
func (l *nicLab) knowEachOther() {
	l.t.Helper()
	for _, pair := range [][2]*testenv.Host{{l.A, l.B}, {l.B, l.A}} {
		for _, addr := range []netip.Addr{pair[1].IPv4(), pair[1].IPv6()} {
			if err := pair[0].If.SetNeighbour(addr, pair[1].If.MAC()); err != nil {
				l.t.Fatal(err)
			}
		}
	}
}

// parcels sends datagrams with numbers and remembers what became of each.
type parcels struct {
	t        *testing.T
	sockets  []*wsk.Socket
	to       wsk.SOCKADDR
	receiver *testenv.UDPReceiver

	free          chan *parcel
	stop, stopped chan struct{}

	mu     sync.Mutex
	sent   uint32
	under  map[uint32]*wsk.IRP
	ended  map[uint32]wsk.NTSTATUS
	paused bool
	aside  []*parcel // of those that ended in a pause
}

// parcel is one of the IRPs that go round.
type parcel struct {
	irp    *wsk.IRP
	number uint32
}

// startParcels begins to send over four sockets, with so many IRPs under way at once, to the kernel's stack at the other end.
func startParcels(t *testing.T, lab *nicLab, dp *Datapath, window int, port uint16) *parcels {
	t.Helper()
	c := newClient(t, dp)
	n := &parcels{
		t: t, to: sockaddr(lab.B.IPv4(), port), free: make(chan *parcel, window), stop: make(chan struct{}), stopped: make(chan struct{}),
		under: make(map[uint32]*wsk.IRP), ended: make(map[uint32]wsk.NTSTATUS),
		receiver: testenv.NewUDPReceiverT(t, lab.B.NS, netip.AddrPortFrom(lab.B.IPv4(), port), testenv.UDPReceiverOptions{}),
	}
	for range 4 {
		n.sockets = append(n.sockets, c.socket("10.77.0.1:0"))
	}
	for range window {
		n.free <- &parcel{irp: wsk.AllocateIRP()}
	}
	go n.run()
	t.Cleanup(n.end)
	return n
}

func (n *parcels) run() {
	defer close(n.stopped)
	for {
		select {
		case <-n.stop:
			return
		case p := <-n.free:
			n.send(p)
		}
	}
}

func (n *parcels) send(p *parcel) {
	p.irp.Reuse(wsk.STATUS_SUCCESS)
	n.mu.Lock()
	p.number = n.sent
	n.sent++
	n.under[p.number] = p.irp
	n.mu.Unlock()
	p.irp.SetCompletionRoutine(n.routine, p, true, true, true)
	buf := whole(binary.BigEndian.AppendUint32(make([]byte, 0, 64), p.number))
	n.sockets[p.number%uint32(len(n.sockets))].SendTo(buf, 0, n.to, nil, p.irp)
}

func (n *parcels) routine(irp *wsk.IRP, context any) wsk.NTSTATUS {
	p := context.(*parcel)
	n.mu.Lock()
	delete(n.under, p.number)
	n.ended[p.number] = irp.IoStatus.Status
	paused := n.paused
	if paused {
		n.aside = append(n.aside, p)
	}
	n.mu.Unlock()
	if !paused {
		n.free <- p
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// pause waits until all IRPs are under way, and lets nothing follow those until resume. What it returns is then all that leaves, and
// few enough for the emulated NIC at the other end to lose none.
func (n *parcels) pause() map[uint32]*wsk.IRP {
	n.t.Helper()
	testenv.Eventually(n.t, nicPatience, "everything to wait", func() bool { return len(n.pending()) == cap(n.free) })
	n.mu.Lock()
	n.paused = true
	n.mu.Unlock()
	return n.pending()
}

func (n *parcels) resume() {
	n.mu.Lock()
	aside := n.aside
	n.paused, n.aside = false, nil
	n.mu.Unlock()
	for _, p := range aside {
		n.free <- p
	}
}

// end stops sending. What is under way stays so.
func (n *parcels) end() {
	select {
	case <-n.stop:
		return
	default:
	}
	close(n.stop)
	select {
	case <-n.stopped:
	case <-time.After(nicPatience):
		n.t.Error("the sender hangs")
	}
}

// pending are the operations under way.
func (n *parcels) pending() map[uint32]*wsk.IRP {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := make(map[uint32]*wsk.IRP, len(n.under))
	for number, irp := range n.under {
		out[number] = irp
	}
	return out
}

// next is the number of the datagram that would be next.
func (n *parcels) next() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// ends is how many have ended so.
func (n *parcels) ends(status wsk.NTSTATUS) (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.ended {
		if s == status {
			count++
		}
	}
	return count
}

// awaitEnds waits until each of these has ended in that status.
func (n *parcels) awaitEnds(what string, numbers map[uint32]*wsk.IRP, status wsk.NTSTATUS) {
	n.t.Helper()
	testenv.Eventually(n.t, nicPatience, what+" to end", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		for number := range numbers {
			if _, ended := n.ended[number]; !ended {
				return false
			}
		}
		return true
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	for number := range numbers {
		if got := n.ended[number]; got != status {
			n.t.Errorf("%s: datagram %d ended with %v, want %v", what, number, got, status)
		}
	}
}

// balance is how IRPs ended against what arrived.
type balance struct {
	counts  map[wsk.NTSTATUS]int
	arrived int
	lost    map[uint32]bool // in success, and never arrived
}

func (b balance) String() string {
	return fmt.Sprintf("statuses %v; %d arrived; %d were sent before the news of the pull, or lost by the receiving NIC", b.counts, b.arrived, len(b.lost))
}

// settle waits until nothing is under way and nothing more arrives. No datagram may arrive twice, nor one whose IRP failed.
func (n *parcels) settle() balance {
	n.t.Helper()
	n.end()
	n.awaitNone()
	n.mu.Lock()
	defer n.mu.Unlock()
	b := balance{counts: make(map[wsk.NTSTATUS]int), lost: make(map[uint32]bool)}
	for number, status := range n.ended {
		b.counts[status]++
		if status == wsk.STATUS_SUCCESS {
			b.lost[number] = true
		}
	}
	settled(n.t, func() int { return int(n.receiver.Count()) }, len(b.lost))
	seen := make(map[uint32]bool)
	for _, d := range n.receiver.Datagrams() {
		number := binary.BigEndian.Uint32(d.Payload)
		if seen[number] {
			n.t.Errorf("datagram %d arrived twice", number)
		}
		if status := n.ended[number]; status != wsk.STATUS_SUCCESS {
			n.t.Errorf("datagram %d arrived, its IRP ended with %v", number, status)
		}
		seen[number] = true
		delete(b.lost, number)
	}
	b.arrived = len(seen)
	return b
}

func (n *parcels) awaitNone() {
	n.t.Helper()
	testenv.Eventually(n.t, nicPatience, "all IRPs to end", func() bool { return len(n.pending()) == 0 })
}
