// SPDX-License-Identifier: Apache-2.0

package send

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// backlog is a socket whose queue has no chunk left: a list is half built, and more waits behind it. What leaves is written down.
type backlog struct {
	*rig
	socket *wsk.Socket
	to     wsk.SOCKADDR
	flow   *Flow
	irps   []*wsk.IRP
	sent   uint32 // datagrams

	mu   sync.Mutex
	left []uint32
}

func (b *backlog) note(payload []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(payload) == 4 {
		b.left = append(b.left, binary.BigEndian.Uint32(payload))
	}
}

func (b *backlog) next() []byte {
	b.sent++
	return binary.BigEndian.AppendUint32(nil, b.sent-1)
}

func (b *backlog) send(n int) {
	for range n {
		irp := wsk.AllocateIRP()
		b.socket.SendTo(whole(b.next()), 0, b.to, nil, irp)
		b.irps = append(b.irps, irp)
	}
}

func (b *backlog) sendList(n int) {
	list := make([]wsk.BufList, n)
	for i := range list {
		list[i].Buffer = *whole(b.next())
		if i != 0 {
			list[i-1].Next = &list[i]
		}
	}
	irp := wsk.AllocateIRP()
	b.socket.SendMessages(&list[0], 0, b.to, nil, irp)
	b.irps = append(b.irps, irp)
}

// newBacklog makes one, with as many queues as are said.
func newBacklog(t *testing.T, queues int, prepare func(*rig)) *backlog {
	b := new(backlog)
	b.rig = newRig(t, xdptest.Config{Budget: -1, OnSend: func(frame []byte) {
		p, err := testenv.Decode(frame)
		if err != nil {
			t.Error(err)
		}
		b.note(p.Payload)
	}})
	b.queues = make([]*Queue, queues)
	if prepare != nil {
		prepare(b.rig)
	}
	b.socket = b.rig.socket()
	b.sources[0].Slow = slowPath{b}
	b.to = b.warm(b.socket)
	b.sources[0].flows.each(func(only *Flow) { b.flow = only })
	b.kernels.newest().HoldCompletions(true)
	b.send(40)
	b.sendList(100)
	b.send(40)
	testenv.Eventually(t, waitLimit, "a list that is half built", func() bool {
		q := b.queue()
		q.mu.Lock()
		defer q.mu.Unlock()
		op := q.waiting.Head
		return op != nil && progressOf(op).frames != 0 && q.tx.unpublished == 0
	})
	return b
}

// ends lets the kernel give chunks back, and holds what has left against what was sent.
func (b *backlog) ends(t *testing.T) {
	t.Helper()
	for _, k := range b.kernels.list() {
		k.HoldCompletions(false)
		k.CompleteHeld(-1, xdptest.InOrder, 0)
	}
	awaitAll(t, b.irps, wsk.STATUS_SUCCESS)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, number := range b.left {
		if number != uint32(i) {
			t.Fatalf("datagram %d left as number %d", number, i)
		}
	}
	if len(b.left) != int(b.sent) {
		t.Errorf("%d datagrams left, want %d", len(b.left), b.sent)
	}
}

// TestBacklogKeepsItsPlace: what has been handed to a queue leaves by it before anything that comes later, whole, whatever becomes of
// the way of its flow meanwhile: where that has to be looked for anew, where it comes to lead elsewhere while the link stays up,
// and where the kernel is to see a datagram of a connection.
func TestBacklogKeepsItsPlace(t *testing.T) {
	t.Run("withdrawn", func(t *testing.T) {
		b := newBacklog(t, 1, nil)
		for range 3 {
			b.sources[0].PathNarrowed(fakeAddr)
			b.send(20)
			b.kernels.newest().CompleteHeld(10, xdptest.InOrder, 0)
			b.queue().drive()
			b.queue().complete()
		}
		b.ends(t)
	})
	t.Run("moved", func(t *testing.T) {
		ways := new(twoWays)
		b := newBacklog(t, 2, func(r *rig) {
			r.host.Routes = ways
			all := r.host.QueueFor
			r.host.QueueFor = func(d route.Device, _ uint32, later func()) (*Queue, error) {
				if ways.second.Load() {
					return all(d, 1, later)
				}
				return all(d, 0, later)
			}
		})
		first := b.kernels.newest()
		ways.second.Store(true)
		ways.generation.Add(1)
		first.CompleteHeld(10, xdptest.InOrder, 0)
		b.send(1)
		testenv.Eventually(t, waitLimit, "the other way", func() bool {
			p := b.flow.path.Load()
			return p != nil && p.queue != nil && p.queue != b.queue()
		})
		for _, k := range b.kernels.list() {
			k.HoldCompletions(false)
			k.CompleteHeld(-1, xdptest.InOrder, 0)
		}
		// The list was begun on a link that is up, and ends there; what waited behind it has gone the other way.
		awaitAll(t, b.irps, wsk.STATUS_SUCCESS)
		if b.mu.Lock(); len(b.left) != int(b.sent) {
			t.Errorf("%d datagrams left, want %d", len(b.left), b.sent)
		}
		b.mu.Unlock()
	})
	t.Run("shown to the kernel", func(t *testing.T) {
		b := newBacklog(t, 1, func(r *rig) { r.host.Tracking = tracking{} })
		testenv.Eventually(t, waitLimit, "a flow that is shut", func() bool {
			b.flow.mu.Lock()
			if !b.flow.resolving {
				b.flow.entry = entry{} // has run out
			}
			b.flow.mu.Unlock()
			b.flow.prefetch()
			p := b.flow.path.Load()
			return p != nil && p.shut
		})
		b.send(20)
		b.kernels.newest().CompleteHeld(10, xdptest.InOrder, 0)
		b.queue().drive()
		b.queue().complete()
		b.ends(t)
	})
}

// tracking is a kernel that tracks every connection.
type tracking struct{}

func (tracking) InUse(netip.Addr) bool                        { return true }
func (tracking) Timeout() time.Duration                       { return time.Hour }
func (tracking) Translates(_, _ netip.AddrPort) (bool, error) { return false, nil }

// slowPath is a companion socket that sends at once.
type slowPath struct{ b *backlog }

func (s slowPath) Send(op *wsk.SendOp) { s.SendAndWait(op) }

func (s slowPath) Drain() {}

func (s slowPath) IsSending() bool { return false }

func (s slowPath) SendAndWait(op *wsk.SendOp) wsk.NTSTATUS {
	s.b.note(op.Bufs[0].Mdl.Bytes())
	s.b.host.Finish(op, wsk.STATUS_SUCCESS)
	return wsk.STATUS_SUCCESS
}
