// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// Checklist item 57: receives are served in the order of their calls, and what is buffered goes first.
func TestReceiveOrder(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	h.arrive("buffered 1", "buffered 2")
	a, b := h.receive(s, 64), h.receive(s, 64)
	c, d := h.receive(s, 64), h.receive(s, 64)
	c.pending()
	d.pending()
	h.arrive("3")
	d.pending()
	h.arrive("4", "5")
	for i, r := range []*receive{a, b, c, d, h.receive(s, 64)} {
		wanted := []string{"buffered 1", "buffered 2", "3", "4", "5"}[i]
		if got := r.payload(); got != wanted {
			t.Errorf("receive %d: %q, want %q", i, got, wanted)
		}
		if r.from.String() != peer || r.flags != 0 || r.controlLength != 0 {
			t.Errorf("receive %d: from %v, flags %#x, %d bytes of control", i, r.from, r.flags, r.controlLength)
		}
	}
	h.nothingLent()
}

// One list for several receives, and what is left of it goes on.
func TestReceiveList(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	a, b := h.receive(s, 64), h.receive(s, 64)
	h.transport.Arrive(from(peer, "1"), from(peer, "2"), from(peer, "3"))
	if got := a.payload() + b.payload() + h.receive(s, 64).payload(); got != "123" {
		t.Errorf("received %q", got)
	}
	h.nothingLent()
}

// Checklist item 57: a buffer that is too small. The rest of the datagram is lost, not given to the next receive.
func TestReceiveTruncation(t *testing.T) {
	for _, c := range []struct {
		payload string
		size    int
		status  wsk.NTSTATUS
		n       int
	}{
		{"", 0, wsk.STATUS_SUCCESS, 0},
		{"", 4, wsk.STATUS_SUCCESS, 0},
		{"abcd", 4, wsk.STATUS_SUCCESS, 4},
		{"abcd", 5, wsk.STATUS_SUCCESS, 4},
		{"abcd", 3, wsk.STATUS_BUFFER_OVERFLOW, 3},
		{"abcd", 0, wsk.STATUS_BUFFER_OVERFLOW, 0},
	} {
		for _, buffered := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d-into-%d/buffered=%v", len(c.payload), c.size, buffered), func(t *testing.T) {
				h := newHost(t)
				s := h.bound("0.0.0.0:1000")
				if buffered {
					h.arrive(c.payload, "next")
				}
				r := h.receive(s, c.size)
				if !buffered {
					h.arrive(c.payload, "next")
				}
				want(t, "ReceiveFrom", r.wait(), c.status)
				if n := int(r.IoStatus.Information); n != c.n || string(r.data[:n]) != c.payload[:n] {
					t.Errorf("Information %d, want %d; %q", n, c.n, r.data)
				}
				var flags uint32
				if c.status == wsk.STATUS_BUFFER_OVERFLOW {
					flags = wsk.MSG_TRUNC
				}
				if r.flags != flags || r.from.String() != peer {
					t.Errorf("flags %#x, want %#x; from %v", r.flags, flags, r.from)
				}
				if got := h.receive(s, 64).payload(); got != "next" {
					t.Errorf("then %q", got)
				}
			})
		}
	}
}

// Checklist item 57: all combinations of the outputs. ControlFlags are written with ControlLength 0 and
// without one.
func TestReceiveOutputs(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000", option{ip, wsk.IP_PKTINFO, 1})
	multicast := from(peer, "x")
	multicast.Cast = wsk.Broadcast
	get := func(remote wsk.SOCKADDR, length *uint32, control []byte, flags *uint32) {
		t.Helper()
		irp := newCall(t)
		status := s.ReceiveFrom(&wsk.Buf{}, 0, remote, length, control, flags, &irp.IRP)
		h.transport.Arrive(multicast)
		want(t, "ReceiveFrom", irp.end("ReceiveFrom", status), wsk.STATUS_BUFFER_OVERFLOW)
	}
	get(nil, nil, nil, nil)
	const both = wsk.MSG_TRUNC | wsk.MSG_BCAST
	var flags uint32
	if get(nil, nil, nil, &flags); flags != both {
		t.Errorf("flags without ControlLength: %#x", flags)
	}
	length := uint32(0)
	if get(nil, &length, nil, &flags); flags != both|wsk.MSG_CTRUNC || length != 0 {
		t.Errorf("with ControlLength 0: flags %#x, length %d", flags, length)
	}
	control := bytes.Repeat([]byte{0xEE}, 64)
	length = 32
	if get(nil, &length, control, &flags); flags != both || length != 24 || !bytes.Equal(control[24:], bytes.Repeat([]byte{0xEE}, 40)) {
		t.Errorf("with ControlLength 32: flags %#x, length %d, % x", flags, length, control)
	}
	length = 999 // more than the buffer has
	if get(nil, &length, control[:8], &flags); flags != both|wsk.MSG_CTRUNC || length != 0 {
		t.Errorf("with ControlLength beyond the buffer: flags %#x, length %d", flags, length)
	}
	remote := wsk.SOCKADDR(bytes.Repeat([]byte{0xEE}, 20))
	if get(remote, nil, nil, nil); remote[:16].String() != peer || remote[16] != 0xEE || remote[8] != 0 {
		t.Errorf("remote % x", remote)
	}
	want(t, "control off", h.set(s, ip, wsk.IP_PKTINFO, 0), wsk.STATUS_SUCCESS)
	length = 32
	if get(nil, &length, control, &flags); flags != both || length != 0 {
		t.Errorf("without objects: flags %#x, length %d", flags, length)
	}
}

// Checklist items 45 and 21, and the rules of chains on the receiving side: nothing outside [Offset, Offset+n) is
// touched.
func TestReceiveScatter(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	const payload = "0123456789abcdefghij"
	for _, c := range []struct {
		sizes  []int
		offset uint32
		length int
	}{
		{[]int{20}, 0, 20},
		{[]int{40}, 7, 33},
		{[]int{5, 0, 1, 7, 30}, 3, 40},
		{[]int{5, 0, 1, 7, 30}, 5, 20},
		{[]int{3, 3, 3}, 2, 7},
		{[]int{0, 4, 0, 4}, 0, 8},
		{[]int{8, 40}, 1, 20},
	} {
		var first, last *wsk.MDL
		var memory [][]byte
		for _, n := range c.sizes {
			piece := bytes.Repeat([]byte{0xEE}, n+2) // a canary on both sides
			memory = append(memory, piece)
			m := wsk.AllocateMDL(piece[1 : 1+n : 1+n])
			if first == nil {
				first = m
			} else {
				last.Next = m
			}
			last = m
		}
		irp := newCall(t)
		buf := &wsk.Buf{Mdl: first, Offset: c.offset, Length: uintptr(c.length)}
		status := s.ReceiveFrom(buf, 0, nil, nil, nil, nil, &irp.IRP)
		*buf = wsk.Buf{} // read during the call only
		h.arrive(payload)
		n := min(c.length, len(payload))
		wantStatus := wsk.STATUS_SUCCESS
		if n < len(payload) {
			wantStatus = wsk.STATUS_BUFFER_OVERFLOW
		}
		want(t, fmt.Sprint(c), irp.end("ReceiveFrom", status), wantStatus)
		if irp.IoStatus.Information != uintptr(n) {
			t.Errorf("%v: Information %d, want %d", c, irp.IoStatus.Information, n)
		}
		var got []byte
		at := -int(c.offset)
		for _, piece := range memory {
			for i, b := range piece {
				inside := i > 0 && i < len(piece)-1
				if inside && at >= 0 && at < n {
					got = append(got, b)
				} else if b != 0xEE {
					t.Errorf("%v: a byte outside was overwritten", c)
				}
				if inside {
					at++
				}
			}
		}
		if string(got) != payload[:n] {
			t.Errorf("%v: received %q", c, got)
		}
	}
}

// Every refusal of ReceiveFrom; the IRP completes with it.
func TestReceiveValidation(t *testing.T) {
	h := newHost(t)
	bound, unbound := h.bound("0.0.0.0:1000"), h.socket(wsk.AF_INET)
	bound6 := h.bound("[::]:1000")
	basic, _ := h.trySocket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_BASIC_SOCKET)
	buf := text("room for it")
	for _, c := range []struct {
		name   string
		s      *wsk.Socket
		buf    *wsk.Buf
		flags  uint32
		remote wsk.SOCKADDR
		cancel bool
		want   wsk.NTSTATUS
	}{
		{"cancelled", bound, nil, 1, nil, true, wsk.STATUS_CANCELLED},
		{"flags", bound, buf, 1, nil, false, wsk.STATUS_INVALID_PARAMETER},
		{"nil-buffer", bound, nil, 0, nil, false, wsk.STATUS_INVALID_PARAMETER},
		{"over-length", bound, &wsk.Buf{Mdl: buf.Mdl, Length: 99}, 0, nil, false, wsk.STATUS_INVALID_PARAMETER},
		{"short-address-4", bound, buf, 0, make(wsk.SOCKADDR, 15), false, wsk.STATUS_INVALID_PARAMETER},
		{"short-address-6", bound6, buf, 0, make(wsk.SOCKADDR, 27), false, wsk.STATUS_INVALID_PARAMETER},
		{"unbound", unbound, buf, 0, nil, false, wsk.STATUS_INVALID_DEVICE_STATE},
		{"basic", basic, buf, 0, nil, false, wsk.STATUS_INVALID_DEVICE_REQUEST},
	} {
		irp := newCall(t)
		if c.cancel {
			irp.Cancel()
		}
		want(t, c.name, irp.end(c.name, c.s.ReceiveFrom(c.buf, c.flags, c.remote, nil, nil, nil, &irp.IRP)), c.want)
	}
	want(t, "nil IRP", bound.ReceiveFrom(buf, 0, nil, nil, nil, nil, nil), wsk.STATUS_INVALID_PARAMETER)
	want(t, "Release on a basic socket", basic.Release(&wsk.DatagramIndication{}), wsk.STATUS_INVALID_DEVICE_REQUEST)
	r := h.receive(bound, 8) // nothing of the above is still queued
	h.arrive("x")
	r.payload()
}

// Checklist item 19: cancelling a receive. The next one gets what arrives.
func TestCancelReceive(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	a, b, c := h.receive(s, 8), h.receive(s, 8), h.receive(s, 8)
	if !b.Cancel() {
		t.Error("Cancel of a waiting receive: false")
	}
	want(t, "cancelled", b.wait(), wsk.STATUS_CANCELLED)
	if b.flags != 0xDEAD || b.controlLength != 512 || b.IoStatus.Information != 0 {
		t.Error("a cancelled receive has written outputs")
	}
	if b.Cancel() {
		t.Error("Cancel after the completion: true")
	}
	irp := &b.IRP // which is as good as new
	irp.Reuse(wsk.STATUS_SUCCESS)
	data := make([]byte, 8)
	want(t, "again", s.ReceiveFrom(&wsk.Buf{Mdl: wsk.AllocateMDL(data), Length: 8}, 0, nil, nil, nil, nil, irp), wsk.STATUS_PENDING)
	h.arrive("1", "2", "3")
	if a.payload() != "1" || c.payload() != "2" || data[0] != '3' || irp.IoStatus.Status != wsk.STATUS_SUCCESS {
		t.Error("the datagrams went elsewhere")
	}
	if a.Cancel() {
		t.Error("Cancel of a receive that has its datagram: true")
	}
	h.nothingLent()
}

// Checklist item 19: cancels race with arrivals. Every IRP completes once, no datagram is lost or doubled.
func TestCancelReceiveRace(t *testing.T) {
	const rounds = 20_000
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	want(t, "RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 1<<30), wsk.STATUS_SUCCESS)
	arrivals, cancels := make(chan int), make(chan *receive)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range arrivals {
			h.arrive(fmt.Sprint(i))
		}
	})
	wg.Go(func() {
		for r := range cancels {
			r.Cancel()
		}
	})
	next, sent, cancelled := 0, 0, 0
	take := func(r *receive) {
		if r.wait() == wsk.STATUS_CANCELLED {
			cancelled++
			return
		}
		if got := string(r.data[:r.IoStatus.Information]); got != fmt.Sprint(next) {
			t.Fatalf("received %q, want %d", got, next)
		}
		next++
	}
	for next < rounds {
		a, b := h.receive(s, 16), h.receive(s, 16)
		if sent < rounds {
			arrivals <- sent
			sent++
		}
		cancels <- a
		b.Cancel()
		take(a)
		take(b)
	}
	close(arrivals)
	close(cancels)
	wg.Wait()
	if cancelled == 0 {
		t.Error("no cancel was in time")
	}
	h.nothingLent()
}

// Checklist item 58: the fixed remote filters, by the sender's port too; what is buffered already is filtered as well.
func TestReceiveFixedRemote(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	other := from("198.51.100.8:9", "other address")
	port := from("198.51.100.7:10", "other port")
	h.transport.Arrive(other, from(peer, "early"), port)
	want(t, "SET_REMOTE", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, addr(peer)), wsk.STATUS_SUCCESS)
	h.transport.Arrive(other, from(peer, "late"), port)
	if a, b := h.receive(s, 64).payload(), h.receive(s, 64).payload(); a != "early" || b != "late" {
		t.Errorf("received %q, %q", a, b)
	}
	if st := s.ReceiveStatistics(); st.Filtered != 4 || st.Buffered != 0 {
		t.Errorf("%+v", st)
	}
	// SET_SENDTO does not filter, and clearing lets everybody in again.
	want(t, "clear", h.ioctl(s, wsk.SIO_WSK_SET_REMOTE_ADDRESS, nil), wsk.STATUS_SUCCESS)
	want(t, "SET_SENDTO", h.ioctl(s, wsk.SIO_WSK_SET_SENDTO_ADDRESS, addr(peer)), wsk.STATUS_SUCCESS)
	h.transport.Arrive(other)
	if got := h.receive(s, 64).payload(); got != "other address" {
		t.Errorf("received %q", got)
	}
	// Link-local senders differ by scope, if both sides know one.
	s6 := h.bound("[::]:1000")
	want(t, "SET_REMOTE", h.ioctl(s6, wsk.SIO_WSK_SET_REMOTE_ADDRESS, addr("[fe80::7%3]:9")), wsk.STATUS_SUCCESS)
	h.transport.Arrive(from("[fe80::7%4]:9", "scope 4"), from("[fe80::7%3]:9", "scope 3"))
	if got := h.receive(s6, 64).payload(); got != "scope 3" {
		t.Errorf("received %q", got)
	}
	h.nothingLent()
}

// Checklist item 67: SO_RCVBUF is the limit of the buffer; beyond it the newest is dropped and counted. The last one that is
// taken may go beyond it, so that an empty buffer takes a datagram of any size.
func TestReceiveBufferLimit(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	payload := strings.Repeat("x", 144) // 400 with what a datagram costs besides
	want(t, "RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 2000), wsk.STATUS_SUCCESS)
	var list []wsktest.Arrival
	for i := range 8 {
		list = append(list, from(peer, fmt.Sprint(i)+payload[1:]))
	}
	h.transport.Arrive(list...)
	st := s.ReceiveStatistics()
	if st.Buffered != 5 || st.Overflowed != 3 || h.transport.Counts().Lent != 5 || h.transport.Counts().Kept != 5 {
		t.Fatalf("%+v, %+v", st, h.transport.Counts())
	}
	want(t, "smaller RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 800), wsk.STATUS_SUCCESS)
	for i := range 2 {
		if got := h.receive(s, 200).payload(); got[0] != byte('0'+i) {
			t.Errorf("receive %d: %q", i, got[:1])
		}
	}
	if st := s.ReceiveStatistics(); st.Buffered != 0 || st.Overflowed != 6 {
		t.Errorf("%+v", st)
	}
	want(t, "RCVBUF 0", h.set(s, sol, wsk.SO_RCVBUF, 0), wsk.STATUS_SUCCESS)
	h.arrive("")
	if st := s.ReceiveStatistics(); st.Buffered != 0 || st.Overflowed != 7 {
		t.Errorf("without a buffer: %+v", st)
	}
	r := h.receive(s, 8) // a receive still works
	h.arrive("y")
	r.payload()
	// There is a limit for a flood of empty datagrams too.
	want(t, "RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 25600), wsk.STATUS_SUCCESS)
	h.arrive(make([]string, 1000)...)
	if st := s.ReceiveStatistics(); st.Buffered != 100 {
		t.Errorf("empty datagrams: %+v", st)
	}
	want(t, "RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 500), wsk.STATUS_SUCCESS)
	for s.ReceiveStatistics().Buffered > 0 {
		h.receive(s, 8).payload()
	}
	large := strings.Repeat("z", 5000)
	for i, want := range []int{1, 1} {
		h.arrive(large)
		if st := s.ReceiveStatistics(); st.Buffered != want {
			t.Errorf("large datagram %d in a small buffer: %+v", i, st)
		}
	}
	want(t, "the same RCVBUF", h.set(s, sol, wsk.SO_RCVBUF, 500), wsk.STATUS_SUCCESS)
	if got := h.receive(s, 6000).payload(); got != large {
		t.Errorf("%d bytes of the large datagram", len(got))
	}
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	h.nothingLent()
}

// The transport may move what is buffered: Keep comes before anybody sees the payload.
func TestReceiveKeptMoves(t *testing.T) {
	h := newHost(t)
	h.transport.MoveKept(true)
	s := h.bound("0.0.0.0:1000")
	h.arrive("moved")
	if got := h.receive(s, 64).payload(); got != "moved" {
		t.Errorf("received %q", got)
	}
	h.nothingLent()
}

// Checklist items 17 and 18: a receive is passed again in its own routine, while everything that it will get is
// buffered.
func TestReceiveAgainFromRoutine(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	const rounds = 4_000 // as many as the buffer has room for
	h.arrive(slices.Repeat([]string{"x"}, rounds)...)
	buf := &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 8)), Length: 8}
	done := make(chan struct{})
	n := 0
	var routine wsk.CompletionRoutine
	routine = func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		if irp.IoStatus.Status != wsk.STATUS_SUCCESS || irp.IoStatus.Information != 1 {
			t.Errorf("%+v", irp.IoStatus)
		}
		if n++; n == rounds {
			close(done)
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
		irp.Reuse(wsk.STATUS_SUCCESS)
		irp.SetCompletionRoutine(routine, nil, true, true, true)
		s.ReceiveFrom(buf, 0, nil, nil, nil, nil, irp)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(routine, nil, true, true, true)
	s.ReceiveFrom(buf, 0, nil, nil, nil, nil, irp)
	<-done
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
}

// One receive, passed again in its routine, takes a whole list without anything being buffered.
func TestReceiveListWithOneIRP(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	data := make([]byte, 8)
	var got []string
	var routine wsk.CompletionRoutine
	routine = func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
		if irp.IoStatus.Status == wsk.STATUS_CANCELLED {
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
		got = append(got, string(data[:irp.IoStatus.Information]))
		irp.Reuse(wsk.STATUS_SUCCESS)
		irp.SetCompletionRoutine(routine, nil, true, true, true)
		s.ReceiveFrom(&wsk.Buf{Mdl: wsk.AllocateMDL(data), Length: 8}, 0, nil, nil, nil, nil, irp)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(routine, nil, true, true, true)
	s.ReceiveFrom(&wsk.Buf{Mdl: wsk.AllocateMDL(data), Length: 8}, 0, nil, nil, nil, nil, irp)
	h.transport.Arrive(from(peer, "1"), from(peer, "2"), from(peer, "3"))
	if strings.Join(got, "") != "123" || h.transport.Counts().Kept != 0 {
		t.Errorf("received %q, %d kept", got, h.transport.Counts().Kept)
	}
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	h.nothingLent()
}
