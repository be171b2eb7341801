// SPDX-License-Identifier: Apache-2.0

package send

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestInvalidIsLast: a descriptor that the kernel finds invalid, the last one of a kick, does not pass for a datagram sent: on a kernel and on
// a fake.
func TestInvalidIsLast(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, r *rig) func() (xdp.Queue, error){
		"fake": func(_ *testing.T, r *rig) func() (xdp.Queue, error) { return r.kernels.open },
		"kernel": func(t *testing.T, _ *rig) func() (xdp.Queue, error) {
			testenv.Require(t, testenv.NetNS|testenv.AFXDP)
			lab := testenv.NewLabT(t, testenv.Topology{})
			return func() (sock xdp.Queue, err error) {
				err = lab.A.NS.Do(func() error {
					sock, err = xdp.Open(xdp.Options{Ifname: lab.A.If.Name(), Mode: xdp.ModeCopy, TxChunks: 64})
					return err
				})
				return sock, err
			}
		},
	} {
		for what, spoil := range map[string]func(d *xdp.Desc){
			"an unknown option": func(d *xdp.Desc) { d.Options |= 1 << 20 },
			"no length":         func(d *xdp.Desc) { d.Len = 0 },
			"too long":          func(d *xdp.Desc) { d.Len = 1 << 20 },
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				r := newRig(t, xdptest.Config{Budget: -1})
				r.host.StallTimeout = stallTime // older kernels do not give the chunk back
				socket := open(t, r)
				r.host.QueueFor = func(route.Device, uint32, func()) (*Queue, error) {
					r.mu.Lock()
					defer r.mu.Unlock()
					if r.queues[0] == nil {
						q, err := OpenQueue(r.host, r.dev, 0, nil, socket)
						if err != nil {
							return nil, err
						}
						r.queues[0] = q
					}
					return r.queues[0], nil
				}
				s := r.socket()
				to := r.warm(s)
				q := r.queue()
				q.poll.high.Store(true) // what is sent waits in the ring for a burst to fill
				q.kickMu.Lock()         // and whoever finds that it has waited long enough waits too
				irps := sendAll(s, to, 3)
				q.mu.Lock()
				at := q.tx.ring.Producer() + q.tx.unpublished - 1
				d := q.tx.ring.At(at)
				spoil(&d)
				q.tx.ring.Set(at, d)
				q.mu.Unlock()
				q.poll.high.Store(false)
				q.kickMu.Unlock()
				q.drive()
				for i, irp := range irps {
					status := await(t, irp)
					if (status == wsk.STATUS_SUCCESS) != (i < 2) {
						t.Errorf("datagram %d: %v", i, status)
					}
				}
				mustSucceed(t, "afterwards", sendOne(t, s, whole([]byte("x")), to, nil))
			})
		}
	}
}

// TestFirstIsInvalid: the first descriptor of its kind on a socket is asked about, whatever the rules say, and the others are not.
func TestFirstIsInvalid(t *testing.T) {
	r := newRig(t, xdptest.Config{Budget: -1})
	r.kernels.setup = func(k *xdptest.Kernel) { k.Plan(0, xdptest.Invalid) }
	s := r.socket()
	to := sockaddr(fakeAddr, 9)
	if status := sendOne(t, s, whole([]byte("first")), to, nil); status != wsk.STATUS_INTERNAL_ERROR {
		t.Errorf("the first: %v", status)
	}
	asked := r.kernels.newest().Questions()
	for range 20 {
		mustSucceed(t, "another", sendOne(t, s, whole([]byte("x")), to, nil))
	}
	if n := r.kernels.newest().Questions() - asked; n != 1 {
		t.Errorf("asked %d times what the kernel counts, for 20 datagrams", n)
	}
}
