// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestReceiveStorm does everything at once for a while: datagrams of all casts on two queues, sockets that come, share ports, join,
// leave, change their options and go while callbacks run, clients that keep datagrams for long, and sockets of queues that
// are replaced. At the end every chunk is home and every port is free.
//
// I1, I6, I8, I12.
func TestReceiveStorm(t *testing.T) { receiveStorm(t, 1500) }

// TestReceiveStormJumbo is TestReceiveStorm with frames of one to three chunks.
func TestReceiveStormJumbo(t *testing.T) {
	requireMultiBuffer(t)
	receiveStorm(t, 9000)
}

func receiveStorm(t *testing.T, mtu int) {
	const length = 3 * time.Second
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static, MTU: mtu, A: testenv.End{TX: 2, RX: 2}, B: testenv.End{TX: 2, RX: 2}},
		Options{Socket: xdp.Options{RxChunks: 128}})
	group := netip.MustParseAddr("239.9.9.9")
	locals := []string{"0.0.0.0:8000", "10.77.0.1:8000", "0.0.0.0:8001", "[::]:8001", "10.77.0.1:8002", "[fd77::1]:8002"}
	targets := []string{"10.77.0.1:8000", "10.77.0.1:8001", "[fd77::1]:8001", "10.77.0.1:8002", "[fd77::1]:8002", "239.9.9.9:8000",
		"239.9.9.9:8002", "10.77.0.255:8000", "10.77.0.1:8003"}
	stop := make(chan struct{})
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	var all sync.WaitGroup
	var got, kept atomic.Int64
	// Senders.
	for i := range 2 {
		four := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Interface: lab.B.If.Index()})
		six := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort("[::]:0")})
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			payload := make([]byte, mtu-100)
			for n := uint32(0); running(); n++ {
				binary.BigEndian.PutUint32(payload, n)
				to := netip.MustParseAddrPort(targets[r.IntN(len(targets))])
				s := four
				if to.Addr().Is6() {
					s = six
				}
				_ = s.Send(to, payload[:4+r.IntN(mtu-104)])
			}
		})
	}
	// Sockets.
	var keptMu sync.Mutex
	var store []*wsk.Datagram
	for i := range 6 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(2, uint64(i)))
			for running() {
				local := netip.MustParseAddrPort(locals[r.IntN(len(locals))])
				family := uint16(wsk.AF_INET)
				if local.Addr().Is6() {
					family = wsk.AF_INET6
				}
				s := newCatcher(t)
				s.setHook(func(list *wsk.Datagram) {
					for list != nil {
						next := list.Next
						got.Add(1)
						if list.Err == nil && len(list.Payload) < 4 {
							t.Errorf("%s", describe(list))
						}
						if got.Load()%7 == 0 {
							list.Lender.Keep(list)
							kept.Add(1)
							keptMu.Lock()
							store = append(store, list)
							keptMu.Unlock()
						} else {
							list.Release()
						}
						list = next
					}
				})
				open, _ := dp.OpenEndpoint(family, s)
				bound := make(chan wsk.NTSTATUS, 1)
				open.Bind(wsk.BindRequest{Local: local, DualStack: r.IntN(2) == 0, ReuseAddress: r.IntN(4) != 0},
					func(_ netip.AddrPort, status wsk.NTSTATUS) { bound <- status })
				ep := open.(wsk.ReceivingEndpoint)
				if <-bound == wsk.STATUS_SUCCESS {
					for range r.IntN(20) {
						switch r.IntN(4) {
						case 0:
							ep.Configure(wsk.ReceiveOptions{Errors: r.IntN(2) == 0, MaxCoalesced: uint32(r.IntN(2) * 65535), BufferBytes: uint32(r.IntN(100000))})
						case 1, 2:
							ep.Change(wsk.Membership{Change: wsk.MembershipChange(r.IntN(2)), Group: group.As16(), IfIndex: uint32(lab.A.If.Index())})
						default:
							timer := time.NewTimer(time.Duration(r.IntN(5)) * time.Millisecond)
							<-timer.C
						}
					}
				}
				done := make(chan struct{})
				open.Abort()
				open.Close(func() { close(done) })
				<-done
			}
		})
	}
	// A client that gives back late, in any order.
	all.Go(func() {
		r := rand.New(rand.NewPCG(3, 3))
		for running() {
			keptMu.Lock()
			for len(store) > 200 {
				i := r.IntN(len(store))
				store[i].Release()
				store[i] = store[len(store)-1]
				store = store[:len(store)-1]
			}
			keptMu.Unlock()
			timer := time.NewTimer(time.Millisecond)
			<-timer.C
		}
	})
	// Queues that break, and people who look.
	all.Go(func() {
		for running() {
			for _, q := range dp.devices.Known(lab.A.If.Index()).Opened() {
				timer := time.NewTimer(150 * time.Millisecond)
				<-timer.C
				send.BreakDown(q, "the storm wants it", nil)
				dp.Info()
			}
		}
	})
	<-time.After(length)
	// A machine with other work needs longer for some of everything; what is missing even then is found below.
	_ = testenv.Poll(testenv.Context(t, waitLimit), "some of everything", func() (bool, error) {
		info := dp.Info()
		var delivered, rebuilds uint64
		for _, q := range info.Queues {
			delivered += q.Receive.Delivered
			rebuilds += q.Rebuilds
		}
		return delivered != 0 && rebuilds != 0 && info.CompanionReceived != 0 && kept.Load() != 0, nil
	})
	close(stop)
	all.Wait()
	for _, d := range store {
		d.Release()
	}
	info := dp.Info()
	var delivered, several, rebuilds uint64
	for _, q := range info.Queues {
		delivered += q.Receive.Delivered
		several += q.Receive.Several
		rebuilds += q.Rebuilds
		if q.Receive.Foreign != 0 {
			t.Errorf("%d foreign descriptors", q.Receive.Foreign)
		}
	}
	t.Logf("%d datagrams, %d through AF_XDP, %d through the kernel, %d kept, %d rebuilds", got.Load(), delivered, info.CompanionReceived, kept.Load(), rebuilds)
	if (several != 0) != (mtu > 4000) {
		t.Errorf("%d frames came in several chunks", several)
	}
	if delivered == 0 || info.CompanionReceived == 0 || kept.Load() == 0 || rebuilds == 0 {
		t.Error("the storm missed something")
	}
	if info.Programs[0].Ports != 0 || dp.companions.PortsHeld() != 0 {
		t.Errorf("%d ports are left in the program, %d are held", info.Programs[0].Ports, dp.companions.PortsHeld())
	}
	for _, port := range []string{"0.0.0.0:8000", "0.0.0.0:8001", "0.0.0.0:8002"} {
		r, err := testenv.NewUDPReceiver(lab.A.NS, netip.MustParseAddrPort(port), testenv.UDPReceiverOptions{})
		if err != nil {
			t.Errorf("%s is not free: %v", port, err)
			continue
		}
		r.Close()
	}
	eventually(t, "the queues to be whole", func() bool {
		for _, q := range dp.Info().Queues {
			if q.State != "up" {
				return false
			}
		}
		return true
	})
}

// TestBusyPoll: the receiver that never sleeps gets the same datagrams, and ends when it should.
func TestBusyPoll(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{BusyPoll: 20 * time.Microsecond})
	p := bind(t, dp, "10.77.0.1:8010")
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	sendNumbered(t, sender, p.addr(), 0, 500, p.count)
	for i, d := range p.wait(500) {
		if binary.BigEndian.Uint32(d.Payload) != uint32(i) {
			t.Fatalf("number %d, want %d", binary.BigEndian.Uint32(d.Payload), i)
		}
	}
}

// countingWaiter counts how often a receiver begins to wait, and how often it looks into its ring meanwhile.
type countingWaiter struct {
	receive.Waiter
	waits, looks atomic.Int64
}

func (w *countingWaiter) Wait(ready func() bool) bool {
	w.waits.Add(1)
	return w.Waiter.Wait(func() bool {
		w.looks.Add(1)
		return ready()
	})
}

// TestIdleReceiverSleeps: a receiver without work waits, and does not look again until there is some.
func TestIdleReceiverSleeps(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{NoIPv6: true, Neighbours: testenv.Static}, Options{})
	real := dp.hub.NewWaiter
	waiter := new(countingWaiter)
	dp.hub.NewWaiter = func(sock xdp.Queue, busyPoll time.Duration) (_ receive.Waiter, err error) {
		waiter.Waiter, err = real(sock, busyPoll)
		return waiter, err
	}
	q := dp.devices.Known(lab.A.If.Index()).Opened()[0]
	send.BreakDown(q, "the next socket has the waiter that counts", nil)
	eventually(t, "the new socket's receiver to wait", func() bool { return waiter.waits.Load() > 0 })
	p := bind(t, dp, "10.77.0.1:8011")
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	// A receiver waits before the program knows its socket, and what comes until then takes the companion.
	extra, begun := 0, waiter.waits.Load()
	eventually(t, "the new socket to get what is sent", func() bool {
		sendNumbered(t, sender, p.addr(), extra, 1, func() int { return extra + len(p.take()) })
		extra++
		return waiter.waits.Load() > begun
	})
	for i := extra; i < extra+3; i++ {
		before := waiter.waits.Load()
		sendNumbered(t, sender, p.addr(), i, 1, func() int { return i + len(p.take()) })
		eventually(t, "the receiver to wait again", func() bool { return waiter.waits.Load() > before })
		eventually(t, "the sender's half to sleep", func() bool { return send.Asleep(q) })
	}
	waits, looks := waiter.waits.Load(), waiter.looks.Load()
	<-time.After(300 * time.Millisecond) // one that does not sleep would look many thousand times
	if w, l := waiter.waits.Load()-waits, waiter.looks.Load()-looks; w > 0 || l > 2 || !send.Asleep(q) {
		t.Errorf("with nothing to do the receiver waited %d times anew and looked %d times; its queue's poller sleeps: %v", w, l, send.Asleep(q))
	}
}
