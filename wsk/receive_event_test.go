// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// Checklist item 59: the answers of a dynamic callback.
func TestEventAnswers(t *testing.T) {
	for _, c := range []struct {
		answer   wsk.NTSTATUS
		lent     int // after the callback
		retained int
		refused  uint64
		buffered int
		calls    int // for the second list
	}{
		{wsk.STATUS_SUCCESS, 0, 0, 0, 0, 2},
		{wsk.STATUS_PENDING, 2, 2, 0, 0, 2},
		{wsk.STATUS_DATA_NOT_ACCEPTED, 2, 0, 0, 2, 1},
		{wsk.STATUS_DEVICE_NOT_READY, 0, 0, 2, 0, 2}, // msquic's, during run-down
		{wsk.STATUS_BUFFER_OVERFLOW, 0, 0, 2, 0, 2},
	} {
		t.Run(c.answer.String(), func(t *testing.T) {
			h := newHost(t)
			calls := 0
			var kept []*wsk.DatagramIndication
			s := h.eventSocket("0.0.0.0:1000", func(flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
				calls++
				if got := texts(list); flags != 0 || calls == 1 && !slices.Equal(got, []string{"1", "2"}) {
					t.Errorf("flags %#x, %q", flags, got)
				}
				kept = append(kept, list)
				return c.answer
			})
			want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
			h.transport.Arrive(from(peer, "1"), from(peer, "2"))
			st := s.ReceiveStatistics()
			if lent := h.transport.Counts().Lent; calls != 1 || lent != c.lent || st.Retained != c.retained || st.Buffered != c.buffered ||
				st.Refused != c.refused {
				t.Errorf("%d calls, %d lent, %+v", calls, lent, st)
			}
			h.arrive("3")
			if calls != c.calls {
				t.Errorf("%d calls after the next datagram, want %d", calls, c.calls)
			}
			if c.answer == wsk.STATUS_PENDING {
				for _, list := range kept {
					want(t, "Release", s.Release(list), wsk.STATUS_SUCCESS)
				}
			} else {
				want(t, "Release of what is not kept", s.Release(kept[0]), wsk.STATUS_INVALID_PARAMETER)
			}
			want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
			h.nothingLent()
		})
	}
}

// The fields of an indication, for an IPv4 peer, an IPv6 peer and an IPv4 peer of a dual-stack socket.
func TestEventIndication(t *testing.T) {
	for _, c := range []struct {
		local  string
		setup  []option
		sender string
		remote string
	}{
		{"0.0.0.0:1000", nil, peer, peer},
		{"[::]:1000", nil, "[2001:db8::7]:9", "[2001:db8::7]:9"},
		{"[::]:1000", nil, "[fe80::7%3]:9", "[fe80::7%3]:9"},
		{"[::]:1000", []option{dualStack}, peer, "[::ffff:198.51.100.7]:9"},
	} {
		for _, split := range []bool{false, true} {
			h := newHostWith(t, wsk.ProviderOptions{SplitReceived: split})
			var got []string
			s := h.eventSocketUnbound(c.local, func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
				for n := list; n != nil; n = n.Next {
					if n.RemoteAddress.String() != c.remote || n.ControlInfo != nil || n.Buffer.Mdl == nil {
						t.Errorf("remote %v, control %x, mdl %p", n.RemoteAddress, n.ControlInfo, n.Buffer.Mdl)
					}
					if len(n.RemoteAddress) != 16 && len(n.RemoteAddress) != 28 {
						t.Errorf("%d bytes of address", len(n.RemoteAddress))
					}
					if split && (n.Buffer.Offset == 0 || n.Buffer.Mdl.Next == nil) {
						t.Error("not split")
					}
					got = append(got, flat(&n.Buffer))
				}
				return wsk.STATUS_SUCCESS
			})
			for _, o := range c.setup {
				want(t, "set", h.set(s, o.level, o.code, o.value), wsk.STATUS_SUCCESS)
			}
			want(t, "Bind", h.bind(s, c.local), wsk.STATUS_SUCCESS)
			want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
			payloads := []string{"first", "", "2", "33", "a longer one than the others"}
			for _, p := range payloads {
				h.transport.Arrive(from(c.sender, p))
			}
			if !slices.Equal(got, payloads) {
				t.Errorf("received %q", got)
			}
			want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
			h.nothingLent()
		}
	}
}

// Checklist item 59: DATA_NOT_ACCEPTED, and then enabling again: the same datagrams come in their order, and then the
// new ones.
func TestEventNotAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		accept := false
		var got []string
		s := h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			if !accept {
				return wsk.STATUS_DATA_NOT_ACCEPTED
			}
			got = append(got, texts(list)...)
			return wsk.STATUS_SUCCESS
		})
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		h.transport.Arrive(from(peer, "1"), from(peer, "2"))
		h.arrive("3", "4")
		if st := s.ReceiveStatistics(); st.Buffered != 4 {
			t.Fatalf("%+v", st)
		}
		accept = true
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		synctest.Wait()
		h.arrive("5")
		if !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
			t.Errorf("received %q", got)
		}
		// What is refused while the buffer is handed out stays in front.
		accept = false
		h.arrive("6", "7")
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		synctest.Wait()
		h.arrive("8")
		if a, b, c := h.receive(s, 8).payload(), h.receive(s, 8).payload(), h.receive(s, 8).payload(); a+b+c != "678" {
			t.Errorf("received %q", a+b+c)
		}
		want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		h.nothingLent()
	})
}

// While what is buffered is handed out, what arrives goes behind it; what is refused then goes before what has arrived:
// Checklist item 59.
func TestEventArrivalsWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		var got []string
		running, goOn := make(chan struct{}), make(chan wsk.NTSTATUS)
		s := h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			running <- struct{}{}
			answer := <-goOn
			if answer == wsk.STATUS_SUCCESS {
				got = append(got, texts(list)...)
			}
			return answer
		})
		h.arrive("1", "2")
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		<-running
		h.arrive("3", "4") // would wait for ever if it called the callback
		goOn <- wsk.STATUS_DATA_NOT_ACCEPTED
		synctest.Wait()
		h.arrive("5")
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		<-running
		h.arrive("6")
		goOn <- wsk.STATUS_SUCCESS
		<-running
		goOn <- wsk.STATUS_SUCCESS
		synctest.Wait()
		if !slices.Equal(got, []string{"1", "2", "3", "4", "5", "6"}) {
			t.Errorf("received %q", got)
		}
		want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		h.nothingLent()
	})
}

// A client that enables the callback again while the refusing call is still running is called again: the enabling is
// not lost (docs/wsk-mapping.md).
func TestEventEnabledWhileRefusing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		var s *wsk.Socket
		calls := 0
		s = h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			if calls++; calls == 1 {
				want(t, "enable inside", h.enable(s), wsk.STATUS_SUCCESS)
				return wsk.STATUS_DATA_NOT_ACCEPTED
			}
			return wsk.STATUS_SUCCESS
		})
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		h.arrive("1")
		synctest.Wait()
		if calls != 2 || s.ReceiveStatistics().Buffered != 0 {
			t.Errorf("%d calls", calls)
		}
		h.nothingLent()
	})
}

// Checklist item 59: a waiting receive takes the datagrams that a callback refuses.
func TestEventNotAcceptedForReceive(t *testing.T) {
	for _, static := range []bool{false, true} {
		h := newHost(t)
		if static {
			h.setStatic()
		}
		var s *wsk.Socket
		var r *receive
		s = h.eventSocket("0.0.0.0:1000", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS {
			r = h.receive(s, 8)
			return wsk.STATUS_DATA_NOT_ACCEPTED
		})
		if !static {
			want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		}
		h.arrive("1")
		if r.payload() != "1" {
			t.Error("received something else")
		}
		h.nothingLent()
	}
}

// Checklist items 11 and 59: static callbacks are on from the bind, can't be disabled, and are called again after a
// refusal, whose datagrams are dropped.
func TestEventStatic(t *testing.T) {
	h := newHost(t)
	h.setStatic()
	var got []string
	s := h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		got = append(got, texts(list)...)
		return wsk.STATUS_DATA_NOT_ACCEPTED
	})
	h.arrive("1", "2")
	want(t, "disable", h.disable(s, nil), wsk.STATUS_INVALID_DEVICE_REQUEST)
	irp := newCall(t)
	want(t, "disable with an IRP", irp.end("disable", h.disable(s, &irp.IRP)), wsk.STATUS_INVALID_DEVICE_REQUEST)
	want(t, "enable what is enabled", h.enable(s), wsk.STATUS_SUCCESS)
	h.arrive("3")
	if st := s.ReceiveStatistics(); !slices.Equal(got, []string{"1", "2", "3"}) || st.Refused != 3 || st.Buffered != 0 {
		t.Errorf("%q, %+v", got, st)
	}
	// A socket without a callback buffers as ever.
	plain := h.bound("0.0.0.0:1001")
	a := from(peer, "plain")
	a.To = plainAddr
	h.transport.Arrive(a)
	if h.receive(plain, 8).payload() != "plain" {
		t.Error("received something else")
	}
	want(t, "set static again", h.npi.ControlClient(wsk.WSK_SET_STATIC_EVENT_CALLBACKS,
		wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil), wsk.STATUS_INVALID_DEVICE_STATE)
	h.nothingLent()
}

// With static callbacks datagrams may arrive before the bind has completed. The bind IRP completes first.
func TestEventStaticBindFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		h.setStatic()
		var completed atomic.Bool
		done := make(chan []string)
		s := h.eventSocketUnbound("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			if !completed.Load() {
				t.Error("called before the bind has completed")
			}
			done <- texts(list)
			return wsk.STATUS_SUCCESS
		})
		irp := wsk.AllocateIRP()
		irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
			h.arrive("early", "too") // the port is ours already
			completed.Store(true)
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}, nil, true, true, true)
		want(t, "Bind", s.Bind(addr("0.0.0.0:1000"), 0, irp), wsk.STATUS_PENDING)
		if got := <-done; !slices.Equal(got, []string{"early", "too"}) {
			t.Errorf("received %q", got)
		}
		synctest.Wait()
		go h.arrive("late")
		if got := <-done; !slices.Equal(got, []string{"late"}) {
			t.Errorf("received %q", got)
		}
		synctest.Wait()
		want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		h.nothingLent()
	})
}

// Checklist item 60: a waiting receive goes before the callback.
func TestEventPrecedence(t *testing.T) {
	h := newHost(t)
	var got []string
	s := h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		got = append(got, texts(list)...)
		return wsk.STATUS_SUCCESS
	})
	want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
	r := h.receive(s, 8)
	h.transport.Arrive(from(peer, "1"), from(peer, "2"), from(peer, "3"))
	if r.payload() != "1" || !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("the receive got %q, the callback %q", r.data[:1], got)
	}
	h.nothingLent()
}

// Checklist item 64: one list has one cast, whether it has just arrived or was buffered.
func TestEventCasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		var calls []string
		s := h.eventSocket("0.0.0.0:1000", func(flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			calls = append(calls, fmt.Sprintf("%#x %v", flags, texts(list)))
			return wsk.STATUS_SUCCESS
		})
		mreq := []byte{239, 1, 2, 3, 0, 0, 0, 0}
		want(t, "join", h.setBytes(s, ip, wsk.IP_ADD_MEMBERSHIP, mreq), wsk.STATUS_SUCCESS)
		u1, u2, m1, m2, b1 := from(peer, "u1"), from(peer, "u2"), from(peer, "m1"), from(peer, "m2"), from(peer, "b1")
		m1.To, m2.To = groupAddr, groupAddr
		b1.Cast = wsk.Broadcast
		for _, buffered := range []bool{false, true} {
			calls = nil
			if !buffered {
				want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
			}
			h.transport.Arrive(u1, u2, m1, m2, b1, u1)
			if buffered {
				want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
				synctest.Wait()
			}
			if !slices.Equal(calls, []string{"0x0 [u1 u2]", "0x800 [m1 m2]", "0x400 [b1]", "0x0 [u1]"}) {
				t.Errorf("buffered %v: %q", buffered, calls)
			}
			want(t, "disable", h.disable(s, nil), wsk.STATUS_SUCCESS)
		}
		h.nothingLent()
	})
}

// A list longer than one call takes comes in several.
func TestEventLongList(t *testing.T) {
	h := newHost(t)
	var got []string
	longest := 0
	s := h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		part := texts(list)
		longest = max(longest, len(part))
		got = append(got, part...)
		return wsk.STATUS_SUCCESS
	})
	want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
	var list []wsktest.Arrival
	var wanted []string
	for i := range 1000 {
		list = append(list, from(peer, fmt.Sprint(i)))
		wanted = append(wanted, fmt.Sprint(i))
	}
	h.transport.Arrive(list...)
	if !slices.Equal(got, wanted) || longest < 2 {
		t.Errorf("received %d datagrams, at most %d at once", len(got), longest)
	}
	h.nothingLent()
}

// Checklist item 61: every row of the table of disabling, from outside and from inside the callback.
func TestEventDisable(t *testing.T) {
	for _, inside := range []bool{false, true} {
		for _, withIRP := range []bool{false, true} {
			t.Run(fmt.Sprintf("inside=%v/irp=%v", inside, withIRP), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testEventDisable(t, inside, withIRP) })
			})
		}
	}
}

func testEventDisable(t *testing.T, inside, withIRP bool) {
	h := newHost(t)
	running, goOn := make(chan struct{}), make(chan struct{})
	var s *wsk.Socket
	calls := 0
	irp := newCall(t)
	var status wsk.NTSTATUS
	disable := func() {
		if withIRP {
			status = h.disable(s, &irp.IRP)
			want(t, "disable while running", status, wsk.STATUS_PENDING)
		} else {
			want(t, "disable while running", h.disable(s, nil), wsk.STATUS_EVENT_PENDING)
		}
	}
	s = h.eventSocket("0.0.0.0:1000", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS {
		calls++
		if inside {
			disable()
		}
		close(running)
		<-goOn
		return wsk.STATUS_SUCCESS
	})
	// Not running, both ways.
	idle := newCall(t)
	want(t, "disable while off", idle.end("disable", h.disable(s, &idle.IRP)), wsk.STATUS_SUCCESS)
	want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
	want(t, "disable while idle", h.disable(s, nil), wsk.STATUS_SUCCESS)
	want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)

	go h.arrive("1")
	<-running
	if !inside {
		disable()
	}
	synctest.Wait()
	if withIRP && irp.completed.Load() != 0 {
		t.Error("the disabling has completed while the callback was running")
	}
	h.arrive("2") // no new call
	close(goOn)
	if withIRP {
		want(t, "disable", irp.end("disable", status), wsk.STATUS_SUCCESS)
	}
	synctest.Wait()
	want(t, "disable when it is off", h.disable(s, nil), wsk.STATUS_SUCCESS)
	if calls != 1 || s.ReceiveStatistics().Buffered != 1 {
		t.Errorf("%d calls, %+v", calls, s.ReceiveStatistics())
	}
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	h.nothingLent()
}

// Disabling waits for the calls that are running, not for those that begin after the callback has been enabled again.
func TestEventDisableEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		gates := make(chan chan struct{}, 2)
		s := h.eventSocket("0.0.0.0:1000", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS {
			gate := make(chan struct{})
			gates <- gate
			<-gate
			return wsk.STATUS_SUCCESS
		})
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		go h.arrive("1")
		first := <-gates
		a := newCall(t)
		status := h.disable(s, &a.IRP)
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		go h.arrive("2")
		second := <-gates
		if a.Cancel() {
			t.Error("a disabling could be cancelled")
		}
		close(second)
		synctest.Wait()
		if a.completed.Load() != 0 {
			t.Error("a later call has ended the disabling")
		}
		go h.arrive("3")
		third := <-gates
		close(first)
		want(t, "disable", a.end("disable", status), wsk.STATUS_SUCCESS)
		want(t, "disable", h.disable(s, nil), wsk.STATUS_EVENT_PENDING)
		close(third)
		synctest.Wait()
		want(t, "disable", h.disable(s, nil), wsk.STATUS_SUCCESS)
		h.nothingLent()
	})
}

// Checklist item 53: what can't be enabled.
func TestEventControl(t *testing.T) {
	h := newHost(t)
	accept := func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS { return wsk.STATUS_SUCCESS }
	s := h.eventSocket("0.0.0.0:1000", accept)
	unbound := h.eventSocketUnbound("0.0.0.0:1001", accept)
	silent := h.bound("0.0.0.0:1002")
	basic, _ := h.trySocket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_BASIC_SOCKET)
	receiveFrom := wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM)
	other := slices.Clone(receiveFrom)
	other[0] ^= 1
	for _, c := range []struct {
		name  string
		s     *wsk.Socket
		input []byte
		want  wsk.NTSTATUS
	}{
		{"with an IRP", s, receiveFrom, wsk.STATUS_SUCCESS}, // windrbd's way
		{"unbound", unbound, receiveFrom, wsk.STATUS_INVALID_DEVICE_STATE},
		{"no callback", silent, receiveFrom, wsk.STATUS_INVALID_PARAMETER},
		{"basic", basic, receiveFrom, wsk.STATUS_INVALID_DEVICE_REQUEST},
		{"other NPI", s, other, wsk.STATUS_NOT_SUPPORTED},
		{"short", s, receiveFrom[:16], wsk.STATUS_INVALID_PARAMETER},
		{"no event", s, wsk.NewEventCallbackControl(0), wsk.STATUS_INVALID_PARAMETER},
		{"disable nothing", s, wsk.NewEventCallbackControl(wsk.WSK_EVENT_DISABLE), wsk.STATUS_INVALID_PARAMETER},
		{"event of connections", s, wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE), wsk.STATUS_INVALID_PARAMETER},
		{"mixed", s, wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM | wsk.WSK_EVENT_ACCEPT), wsk.STATUS_INVALID_PARAMETER},
	} {
		want(t, c.name, h.setBytes(c.s, sol, wsk.SO_WSK_EVENT_CALLBACK, c.input), c.want)
	}
	_, status := h.get(s, sol, wsk.SO_WSK_EVENT_CALLBACK)
	want(t, "get", status, wsk.STATUS_NOT_SUPPORTED)
}

// Checklist item 18: the callback may call every function on its socket. Several callbacks run at once.
func TestEventCallsFromCallback(t *testing.T) {
	h := newHost(t)
	var s *wsk.Socket
	calls := 0
	s = h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		if calls++; calls == 2 {
			return wsk.STATUS_SUCCESS
		}
		want(t, "SendTo", h.send(s, "echo", list.RemoteAddress.String(), nil), wsk.STATUS_SUCCESS)
		want(t, "set", h.set(s, sol, wsk.SO_RCVBUF, 1<<20), wsk.STATUS_SUCCESS)
		r := h.receive(s, 8)
		r.Cancel()
		want(t, "ReceiveFrom", r.wait(), wsk.STATUS_CANCELLED)
		h.localAddress(s, 16)
		want(t, "Close of another", h.close(h.socket(wsk.AF_INET)), wsk.STATUS_SUCCESS)
		h.arrive("inner") // the transport calls it from anywhere
		return wsk.STATUS_SUCCESS
	})
	want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
	h.arrive("outer")
	if calls != 2 {
		t.Errorf("%d calls", calls)
	}
	var both sync.WaitGroup
	both.Add(2)
	parallel := h.eventSocket("0.0.0.0:1001", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS {
		both.Done()
		both.Wait()
		return wsk.STATUS_SUCCESS
	})
	want(t, "enable", h.enable(parallel), wsk.STATUS_SUCCESS)
	a := from(peer, "x")
	a.To = plainAddr
	var wg sync.WaitGroup
	wg.Go(func() { h.transport.Arrive(a) })
	wg.Go(func() { h.transport.Arrive(a) })
	wg.Wait()
	h.nothingLent()
}
