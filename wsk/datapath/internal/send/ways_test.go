// SPDX-License-Identifier: Apache-2.0

package send

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// twoWays is a network in which a route moves from one link to another.
type twoWays struct {
	fakeRoutes
	generation atomic.Uint64
	second     atomic.Bool
}

func (w *twoWays) Generation() uint64 { return w.generation.Load() }

// TestFailOver: the link goes down while much waits for it, in its ring and behind, and then the route leads through another
// queue. All of it leaves there, in order, while the first link stays down; with a client that goes on sending, and without. A link that stays up
// sends what it has before the other sends what comes.
func TestFailOver(t *testing.T) {
	for name, c := range map[string]struct{ goesOn, staysUp bool }{
		"the client waits": {}, "the client goes on": {goesOn: true}, "the link stays up": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var left []uint32
			r := newRig(t, xdptest.Config{Budget: -1, OnSend: func(frame []byte) {
				p, err := testenv.Decode(frame)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if len(p.Payload) == 4 {
					left = append(left, binary.BigEndian.Uint32(p.Payload))
				}
			}})
			r.queues = make([]*Queue, 2)
			ways := new(twoWays)
			r.host.Routes = ways
			first := r.host.QueueFor
			r.host.QueueFor = func(d route.Device, serial uint32, later func()) (*Queue, error) {
				if ways.second.Load() {
					return first(d, 1, later)
				}
				return first(d, 0, later)
			}
			s := r.socket()
			to := r.warm(s)
			k := r.kernels.newest()
			if c.staysUp {
				r.queue().poll.high.Store(true) // what is sent waits in the ring for a burst to fill
			} else {
				k.SetNeedWakeup(false) // nobody kicks: what is sent lies in the ring
			}
			var irps []*wsk.IRP
			send := func(n int) {
				for range n {
					irp := wsk.AllocateIRP()
					s.SendTo(whole(binary.BigEndian.AppendUint32(nil, uint32(len(irps)))), 0, to, nil, irp)
					irps = append(irps, irp)
				}
			}
			send(10)
			if !c.staysUp {
				k.SetUp(false)
				k.SetNeedWakeup(true)
				send(200)
				r.awaitState("down")
			}
			ways.second.Store(true)
			ways.generation.Add(1)
			if c.goesOn {
				send(100)
			}
			awaitAll(t, irps, wsk.STATUS_SUCCESS)
			mu.Lock()
			defer mu.Unlock()
			for i, seq := range left {
				if seq != uint32(i) {
					t.Fatalf("datagram %d left as number %d", seq, i)
				}
			}
			if len(left) != len(irps) {
				t.Errorf("%d datagrams left, want %d", len(left), len(irps))
			}
		})
	}
}

// TestFlowLeavesBeforeASend: a datagram that is about to go into a queue, alone or in a list, while its flow leaves that, goes with the
// flow. The wait for the sender to have come so far is for nothing else than to make it likely.
func TestFlowLeavesBeforeASend(t *testing.T) {
	for name, send := range map[string]func(s *wsk.Socket, to wsk.SOCKADDR, irp *wsk.IRP){
		"alone": func(s *wsk.Socket, to wsk.SOCKADDR, irp *wsk.IRP) { s.SendTo(whole([]byte("x")), 0, to, nil, irp) },
		"in a list": func(s *wsk.Socket, to wsk.SOCKADDR, irp *wsk.IRP) {
			list := []wsk.BufList{{Buffer: *whole([]byte("a"))}, {Buffer: *whole([]byte("b"))}}
			list[0].Next = &list[1]
			s.SendMessages(&list[0], 0, to, nil, irp)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, xdptest.Config{Budget: -1})
			s := r.socket()
			to := r.warm(s)
			q := r.queue()
			var f *Flow
			r.sources[0].flows.each(func(only *Flow) { f = only })
			q.mu.Lock()
			irp, passed := wsk.AllocateIRP(), make(chan struct{})
			go func() {
				defer close(passed)
				send(s, to, irp)
			}()
			for range 1000 {
				runtime.Gosched()
			}
			path := f.path.Load()
			f.path.Store(nil)
			q.mu.Unlock()
			<-passed
			mustSucceed(t, "datagram", await(t, irp))
			if now := f.path.Load(); now == nil || now == path {
				t.Error("the flow has not looked for its way")
			}
		})
	}
}
