// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// stormIRP is an IRP with the count of its completions.
type stormIRP struct {
	wsk.IRP
	completions atomic.Int64
	wake        chan struct{} // capacity 1
}

func stormRoutine(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*stormIRP)
	s.completions.Add(1)
	s.wake <- struct{}{} // a second completion would block here, and the counts would differ
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// Checklist items 13 and 74: senders, cancels, option changes and a close in the middle, over a transport that
// delivers, delays and completes out of order. Every IRP completes exactly once; after the close nothing is pending.
func TestStorm(t *testing.T) {
	const senders, sends = 8, 6_000 // 48,000 IRPs a round; make soak goes round and round
	h := newHost(t)
	h.transport.Record(false)
	s := h.bound("0.0.0.0:1000")
	var stop atomic.Bool
	var background, running sync.WaitGroup
	background.Go(func() { // the kernel: modes change, completions come in any order
		r := rand.New(rand.NewPCG(1, 1))
		statuses := []wsk.NTSTATUS{wsk.STATUS_SUCCESS, wsk.STATUS_HOST_UNREACHABLE}
		for !stop.Load() {
			h.transport.SetMode(wsktest.Mode(r.IntN(3)))
			if n := h.transport.Counts().Pending; n > 0 {
				h.transport.Complete(r.IntN(n), statuses[r.IntN(2)])
			}
		}
		for h.transport.Counts().Pending > 0 {
			h.transport.CompleteAll(wsk.STATUS_SUCCESS)
		}
	})
	background.Go(func() {
		for !stop.Load() {
			irp := wsk.AllocateIRP()
			s.ControlSocket(wsk.WskSetOption, wsk.SO_BROADCAST, wsk.SOL_SOCKET, le32(1), nil, nil, irp)
		}
	})
	closed := newCall(t)
	var closeStatus wsk.NTSTATUS
	var total, sentOrFailed, cancelled, refused atomic.Int64
	for g := range senders {
		running.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(g)))
			irp := &stormIRP{wake: make(chan struct{}, 1)}
			buf, to, nowhere := text("storm"), addr("192.0.2.1:9"), addr("0.0.0.0:9")
			for i := range sends {
				if g == 0 && i == sends/2 {
					closeStatus = s.Close(&closed.IRP)
				}
				irp.SetCompletionRoutine(stormRoutine, irp, true, true, true)
				remote := to
				if r.IntN(8) == 0 {
					remote = nowhere
				}
				if r.IntN(16) == 0 {
					irp.Cancel()
				}
				var status wsk.NTSTATUS
				if r.IntN(4) == 0 {
					status = s.SendMessages(list(buf, buf), 0, remote, nil, &irp.IRP)
				} else {
					status = s.SendTo(buf, 0, remote, nil, &irp.IRP)
				}
				if status == wsk.STATUS_PENDING && r.IntN(3) == 0 {
					irp.Cancel()
				}
				<-irp.wake
				if irp.PendingReturned != (status == wsk.STATUS_PENDING) {
					t.Errorf("returned %v with PendingReturned %v", status, irp.PendingReturned)
				}
				switch irp.IoStatus.Status {
				case wsk.STATUS_SUCCESS, wsk.STATUS_HOST_UNREACHABLE:
					sentOrFailed.Add(1)
				case wsk.STATUS_CANCELLED:
					cancelled.Add(1)
				case wsk.STATUS_INVALID_ADDRESS_COMPONENT, wsk.STATUS_FILE_CLOSED:
					refused.Add(1)
				default:
					t.Errorf("%v", irp.IoStatus.Status)
				}
				total.Add(1)
				irp.Reuse(wsk.STATUS_SUCCESS)
			}
			if n := irp.completions.Load(); n != sends || len(irp.wake) != 0 {
				t.Errorf("sender %d: %d completions of %d calls", g, n, sends)
			}
		})
	}
	running.Wait()
	stop.Store(true)
	background.Wait()
	want(t, "Close", closed.end("Close", closeStatus), wsk.STATUS_SUCCESS)
	c := h.transport.Counts()
	if c.Pending != 0 || c.Sends != c.Completed || c.Closed != 1 {
		t.Errorf("%+v", c)
	}
	if total.Load() != senders*sends || sentOrFailed.Load() == 0 || cancelled.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d calls: %d sent or failed, %d cancelled, %d refused", total.Load(), sentOrFailed.Load(), cancelled.Load(), refused.Load())
	}
	wsk.ReleaseProviderNPI(&h.reg)
	wsk.Deregister(&h.reg)
}

// Checklist items 13 and 73: Close races with every other call, many times over; it completes once, and last.
func TestCloseRace(t *testing.T) {
	h := newHost(t)
	h.transport.Record(false)
	for round := range 500 {
		h.transport.SetMode(wsktest.Mode(round % 3))
		s := h.socket(wsk.AF_INET)
		if round%5 != 0 {
			want(t, "Bind", h.bind(s, "0.0.0.0:0"), wsk.STATUS_SUCCESS)
		}
		var wg sync.WaitGroup
		var after atomic.Bool // the close has completed
		calls := []func(irp *wsk.IRP) wsk.NTSTATUS{
			func(irp *wsk.IRP) wsk.NTSTATUS { return s.Bind(addr("0.0.0.0:0"), 0, irp) },
			func(irp *wsk.IRP) wsk.NTSTATUS { return s.SendTo(text("x"), 0, addr("192.0.2.1:9"), nil, irp) },
			func(irp *wsk.IRP) wsk.NTSTATUS { return s.SendTo(nil, 0, nil, nil, irp) },
			func(irp *wsk.IRP) wsk.NTSTATUS { return s.GetLocalAddress(make([]byte, 16), irp) },
			func(irp *wsk.IRP) wsk.NTSTATUS {
				return s.ControlSocket(wsk.WskSetOption, wsk.IP_TTL, wsk.IPPROTO_IP, le32(9), nil, nil, irp)
			},
			func(irp *wsk.IRP) wsk.NTSTATUS { return s.Close(irp) },
			func(irp *wsk.IRP) wsk.NTSTATUS { return s.Close(irp) },
		}
		var closes atomic.Int32
		for i, f := range calls {
			wg.Go(func() {
				irp := newCall(t)
				var pendingAtClose bool
				irp.SetCompletionRoutine(func(in *wsk.IRP, context any) wsk.NTSTATUS {
					if in.PendingReturned && in.IoStatus.Status != wsk.STATUS_FILE_CLOSED {
						if i >= 5 {
							after.Store(true)
							closes.Add(1)
						} else {
							pendingAtClose = after.Load()
						}
					}
					return irp.routine(in, context)
				}, nil, true, true, true)
				status := f(&irp.IRP)
				if status == wsk.STATUS_PENDING && i < 5 {
					h.transport.CompleteAll(wsk.STATUS_SUCCESS)
				}
				irp.end("call", status)
				if pendingAtClose {
					t.Error("an IRP was pending when the close completed")
				}
			})
		}
		wg.Wait()
		if closes.Load() != 1 {
			t.Fatalf("%d closes", closes.Load())
		}
	}
	wsk.ReleaseProviderNPI(&h.reg)
	wsk.Deregister(&h.reg)
	if c := h.transport.Counts(); c.Closed != c.Endpoints || c.Sends != c.Completed {
		t.Errorf("%+v", c)
	}
}
