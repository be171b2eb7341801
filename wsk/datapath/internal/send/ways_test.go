// SPDX-License-Identifier: Apache-2.0

package send

import (
	"encoding/binary"
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
// queue. All of it leaves there, in order, while the first link stays down; with a client that goes on sending, and without.
// Issue 11, F2.
func TestFailOver(t *testing.T) {
	for name, goesOn := range map[string]bool{"the client waits": false, "the client goes on": true} {
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
			k.SetNeedWakeup(false) // nobody kicks: what is sent lies in the ring
			var irps []*wsk.IRP
			send := func(n int) {
				for range n {
					irp := wsk.AllocateIRP()
					s.SendTo(whole(binary.BigEndian.AppendUint32(nil, uint32(len(irps)))), 0, to, nil, irp)
					irps = append(irps, irp)
				}
			}
			send(10)
			k.SetUp(false)
			k.SetNeedWakeup(true)
			send(200)
			r.awaitState("down")
			ways.second.Store(true)
			ways.generation.Add(1)
			if goesOn {
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
