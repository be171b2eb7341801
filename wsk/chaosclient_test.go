// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// chaosClient is a registration with its sockets.
type chaosClient struct {
	t                 *testing.T
	dice              *dice
	reg               wsk.Registration
	npi               wsk.ProviderNPI
	passed, completed atomic.Int64
	over              atomic.Bool // Deregister has returned
	opening           sync.WaitGroup

	mu      sync.Mutex
	sockets []*chaosSocket
	irps    []*chaosIRP // those that anybody may cancel: they are not passed again
}

type chaosSocket struct {
	*wsk.Socket
	client  *chaosClient
	running atomic.Int32 // routines of pending operations, and callbacks
	closing atomic.Bool
	gone    atomic.Bool // the close has completed

	mu   sync.Mutex
	kept []*wsk.DatagramIndication
}

// chaosIRP is an IRP, with what the test knows about it.
type chaosIRP struct {
	wsk.IRP
	client *chaosClient
	socket *chaosSocket // nil for a call of the provider
	call   func(irp *wsk.IRP) wsk.NTSTATUS
	end    func(irp *wsk.IRP)
	again  int         // how often the routine passes it again
	owned  atomic.Bool // by the provider
	status atomic.Uint32
}

const notReturned = 0xDEAD

// pass makes a call, perhaps several times over.
func (x *chaosIRP) pass() {
	x.SetCompletionRoutine(chaosRoutine, x, true, true, true)
	x.status.Store(notReturned)
	x.client.passed.Add(1)
	reused := x.again > 0
	x.owned.Store(true)
	status := x.call(&x.IRP)
	if reused {
		return
	}
	x.status.Store(uint32(status))
	if status != wsk.STATUS_PENDING {
		if x.owned.Load() {
			x.client.t.Errorf("%v returned before the completion", status)
		} else if got := x.IoStatus.Status; got != status || x.PendingReturned {
			x.client.t.Errorf("%v returned, completed with %v, PendingReturned %v", status, got, x.PendingReturned)
		}
	}
}

func chaosRoutine(irp *wsk.IRP, context any) wsk.NTSTATUS {
	x := context.(*chaosIRP)
	c, s := x.client, x.socket
	defer c.completed.Add(1)
	if irp != &x.IRP || !x.owned.Swap(false) {
		c.t.Error("completed twice, or without having been passed")
	}
	if c.over.Load() {
		c.t.Error("completed after Deregister")
	}
	if irp.PendingReturned && s != nil {
		s.enter("an IRP")
		defer s.running.Add(-1)
	}
	if got := x.status.Load(); got != notReturned && (wsk.NTSTATUS(got) != wsk.STATUS_PENDING || !irp.PendingReturned) {
		c.t.Errorf("completed after the return of %v, PendingReturned %v", wsk.NTSTATUS(got), irp.PendingReturned)
	}
	if st := irp.IoStatus; !st.Status.Success() && st.Status != wsk.STATUS_BUFFER_OVERFLOW && st.Information != 0 {
		c.t.Errorf("%v with Information %d", st.Status, st.Information)
	}
	if x.end != nil {
		x.end(irp)
	}
	switch c.dice.n(24) {
	case 0:
		if s != nil {
			s.close()
		}
	case 1, 2:
		c.step(true)
	case 3:
		c.cancel()
	}
	if x.again > 0 {
		x.again--
		irp.Reuse(wsk.STATUS_SUCCESS)
		x.pass()
	}
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// enter counts a routine or callback of the socket.
func (s *chaosSocket) enter(what string) {
	s.running.Add(1)
	if s.gone.Load() {
		s.client.t.Errorf("%s completed after the close of its socket", what)
	}
}

// event is the callback.
func (s *chaosSocket) event(list *wsk.DatagramIndication) wsk.NTSTATUS {
	s.enter("a callback")
	defer s.running.Add(-1)
	if list == nil {
		return wsk.STATUS_SUCCESS
	}
	switch s.client.dice.n(8) {
	case 0:
		return wsk.STATUS_DATA_NOT_ACCEPTED
	case 1:
		s.close()
	case 2:
		s.client.step(true)
	case 3, 4:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.kept = append(s.kept, list)
		return wsk.STATUS_PENDING
	}
	return wsk.STATUS_SUCCESS
}

// giveBack releases what the client has kept.
func (s *chaosSocket) giveBack() {
	s.mu.Lock()
	kept := s.kept
	s.kept = nil
	s.mu.Unlock()
	for _, list := range kept {
		want(s.client.t, "Release", s.Release(list), wsk.STATUS_SUCCESS)
	}
}

// close closes the socket, once.
func (s *chaosSocket) close() {
	if s.closing.Swap(true) {
		return
	}
	x := &chaosIRP{client: s.client, call: s.Close}
	x.end = func(irp *wsk.IRP) {
		s.gone.Store(true)
		if n := s.running.Load(); n != 0 || irp.IoStatus.Status != wsk.STATUS_SUCCESS || !irp.PendingReturned {
			s.client.t.Errorf("close completed with %v while %d routines were running", irp.IoStatus.Status, n)
		}
	}
	x.pass()
}

func (c *chaosClient) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.irps) == 0 {
		return
	}
	x := c.irps[c.dice.n(len(c.irps))]
	c.mu.Unlock()
	x.Cancel()
	c.mu.Lock()
}

func (c *chaosClient) socket() *chaosSocket {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sockets) == 0 {
		return nil
	}
	return c.sockets[c.dice.n(len(c.sockets))]
}

// open makes a socket. The others get to know it in the completion routine. Every other time it waits for the end of the
// bind, or most of what follows would come before that where a bind takes long.
func (c *chaosClient) open() {
	bound := make(chan struct{})
	s := &chaosSocket{client: c}
	dispatch := &wsk.ClientDatagramDispatch{
		ReceiveFromEvent: func(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS { return s.event(list) },
	}
	x := &chaosIRP{client: c}
	x.call = func(irp *wsk.IRP) wsk.NTSTATUS {
		return c.npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, dispatch, nil, nil, nil, irp)
	}
	c.opening.Add(1)
	x.end = func(irp *wsk.IRP) {
		defer c.opening.Done()
		if s.Socket = irp.IoStatus.Socket; s.Socket == nil {
			close(bound)
			return
		}
		c.mu.Lock()
		c.sockets = append(c.sockets, s)
		c.mu.Unlock()
		bind := &chaosIRP{client: c, socket: s, end: func(*wsk.IRP) { close(bound) }}
		bind.call = func(irp *wsk.IRP) wsk.NTSTATUS { return s.Bind(addr("0.0.0.0:0"), 0, irp) }
		bind.pass()
	}
	x.pass()
	if c.dice.n(2) == 0 {
		<-bound
	}
}

// take takes a socket off the list.
func (c *chaosClient) take() *chaosSocket {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.sockets)
	if n == 0 {
		return nil
	}
	s := c.sockets[n-1]
	c.sockets = c.sockets[:n-1]
	return s
}
