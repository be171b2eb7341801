// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// Checklist items 13, 19, 61, 62, 69, 71 and 74 for the receiving half: arrivals, receives, callbacks with every
// answer, cancels, kept nodes released elsewhere, enablings and disablings, option changes, and in the middle the
// device goes or the socket is closed; then the registration ends. Every IRP completes exactly once, every datagram is
// given back, and each of them is accounted for.
func TestReceiveStorm(t *testing.T) {
	rounds := 12 // with all that depends on the number of a round beside each other; make soak goes on and on
	if testing.Short() {
		rounds = 6
	}
	for round := range rounds {
		receiveStorm(t, uint64(round))
	}
}

func receiveStorm(t *testing.T, seed uint64) {
	h := newHost(t)
	h.transport.MoveKept(seed%2 == 0)
	own := netip.MustParseAddr("192.0.2.10")
	h.transport.SetLocal(own)
	if seed%3 == 0 {
		h.setStatic()
	}
	const sockets, steps = 3, 300
	var stop, killed atomic.Bool
	var background, running sync.WaitGroup
	retained := make(chan func(), 1024)
	for range 2 {
		background.Go(func() {
			for release := range retained {
				release()
			}
		})
	}
	var list [sockets]*wsk.Socket
	for i := range list {
		var answers atomic.Uint64
		s := &list[i]
		*s = h.eventSocket(fmt.Sprintf("0.0.0.0:%d", 1000+i), func(_ uint32, nodes *wsk.DatagramIndication) wsk.NTSTATUS {
			if nodes == nil {
				return wsk.STATUS_SUCCESS
			}
			switch answers.Add(1) % 5 {
			case 0:
				return wsk.STATUS_DATA_NOT_ACCEPTED
			case 1:
				socket := *s
				retained <- func() { want(t, "Release", socket.Release(nodes), wsk.STATUS_SUCCESS) }
				return wsk.STATUS_PENDING
			case 2:
				nodes.Next = nil
				want(t, "Release inside", (*s).Release(nodes), wsk.STATUS_SUCCESS)
				return wsk.STATUS_SUCCESS
			case 3:
				return wsk.STATUS_DEVICE_NOT_READY
			}
			return wsk.STATUS_SUCCESS
		})
	}
	for g := range 2 {
		background.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(g)))
			for !stop.Load() {
				batch := make([]wsktest.Arrival, 1+r.IntN(8))
				to := netip.AddrPortFrom(own, uint16(1000+r.IntN(sockets)))
				for i := range batch {
					batch[i] = from([]string{peer, "198.51.100.8:9"}[r.IntN(2)], "payload")
					batch[i].To, batch[i].Cast = to, wsk.Cast(r.IntN(2))
					if r.IntN(9) == 0 {
						batch[i].Err = &wsk.ReceiveError{Protocol: 1, Type: 3}
					}
				}
				h.transport.Arrive(batch...)
				runtime.Gosched()
			}
		})
	}
	var passed, completed atomic.Int64
	pass := func(f func(irp *wsk.IRP) wsk.NTSTATUS) *stormIRP {
		irp := &stormIRP{wake: make(chan struct{}, 1)}
		irp.SetCompletionRoutine(stormRoutine, irp, true, true, true)
		passed.Add(1)
		f(&irp.IRP)
		return irp
	}
	finish := func(irp *stormIRP) {
		<-irp.wake
		completed.Add(irp.completions.Load())
	}
	for i, s := range list {
		running.Go(func() { // receives, some cancelled
			r := rand.New(rand.NewPCG(seed, uint64(10+i)))
			for range steps {
				var irps []*stormIRP
				for range 1 + r.IntN(4) {
					irps = append(irps, pass(func(irp *wsk.IRP) wsk.NTSTATUS {
						return s.ReceiveFrom(&wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 4)), Length: uintptr(r.IntN(4))}, 0, nil, nil, nil, nil, irp)
					}))
				}
				for _, irp := range irps {
					if r.IntN(2) == 0 {
						irp.Cancel()
					}
				}
				for _, irp := range irps {
					finish(irp)
				}
			}
		})
		running.Go(func() { // control
			r := rand.New(rand.NewPCG(seed, uint64(20+i)))
			for range steps {
				finish(pass(func(irp *wsk.IRP) wsk.NTSTATUS {
					switch r.IntN(7) {
					case 0:
						return h.disable(s, irp)
					case 1:
						return s.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, sol,
							wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, irp)
					case 2:
						return s.ControlSocket(wsk.WskSetOption, wsk.SO_RCVBUF, sol, le32(r.Uint32N(5000)), nil, nil, irp)
					case 3:
						return s.ControlSocket(wsk.WskSetOption, wsk.IP_RECVERR, ip, le32(r.Uint32N(2)), nil, nil, irp)
					case 4:
						return s.ControlSocket(wsk.WskIoctl, wsk.SIO_WSK_SET_REMOTE_ADDRESS, 0, addr([]string{peer, ""}[r.IntN(2)]), nil, nil, irp)
					case 5:
						status := s.ControlSocket(wsk.WskIoctl, wsk.SIO_ADDRESS_LIST_CHANGE, 0, nil, nil, nil, irp)
						irp.Cancel()
						return status
					}
					return s.ControlSocket(wsk.WskSetOption, wsk.IP_RECEIVE_BROADCAST, ip, le32(r.Uint32N(2)), nil, nil, irp)
				}))
				h.enable(s)
				h.disable(s, nil)
				h.enable(s)
			}
		})
		if i == 0 { // this one is closed in the middle
			running.Go(func() {
				for s.ReceiveStatistics().Delivered < steps/3 && !killed.Load() {
					runtime.Gosched()
				}
				finish(pass(s.Close))
			})
		}
	}
	if seed%4 == 3 {
		running.Go(func() {
			for list[1].ReceiveStatistics().Delivered < steps/2 {
				runtime.Gosched()
			}
			killed.Store(true)
			h.transport.Kill()
		})
	}
	running.Wait()
	for _, s := range list[1:] {
		finish(pass(s.Close))
	}
	stop.Store(true)
	close(retained)
	background.Wait()
	wsk.ReleaseProviderNPI(&h.reg)
	wsk.Deregister(&h.reg)
	if passed.Load() != completed.Load() {
		t.Errorf("%d IRPs, %d completions", passed.Load(), completed.Load())
	}
	h.nothingLent()
	var accounted uint64
	for i, s := range list {
		st := s.ReceiveStatistics()
		accounted += st.Delivered + st.Overflowed + st.Filtered + st.Errors + st.Refused + st.Discarded
		if st.Retained != 0 || st.Buffered != 0 || st.Delivered == 0 && !killed.Load() {
			t.Errorf("socket %d: %+v", i, st)
		}
	}
	if c := h.transport.Counts(); accounted > uint64(c.Arrived) || c.Closed != c.Endpoints {
		t.Errorf("%d datagrams accounted for, %+v", accounted, c)
	} else if late := uint64(c.Arrived) - accounted; late != uint64(c.Late) {
		t.Errorf("%d datagrams of %d are not accounted for, %d came too late", late, c.Arrived, c.Late)
	}
}
