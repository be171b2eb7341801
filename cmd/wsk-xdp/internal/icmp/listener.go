// SPDX-License-Identifier: Apache-2.0

package icmp

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// mostKinds bounds how many kinds of errors are told apart: what comes off the wire decides how many there are.
const mostKinds = 16

// Listener hears the ICMP errors of sockets.
type Listener struct {
	mu    sync.Mutex
	kinds []Error
	heard chan struct{} // closed with the first
}

// NewListener makes a listener that has heard nothing.
func NewListener() *Listener { return &Listener{heard: make(chan struct{})} }

// Dispatch is what the sockets are made with. Datagrams that come in go to take, unless that is nil.
func (l *Listener) Dispatch(take func(*wsk.DatagramIndication)) *wsk.ClientDatagramDispatch {
	return &wsk.ClientDatagramDispatch{ReceiveFromEvent: func(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		for d := list; d != nil; d = d.Next {
			if e, ok := errorIn(d.ControlInfo); ok {
				l.Hear(e)
			} else if take != nil {
				take(d)
			}
		}
		return wsk.STATUS_SUCCESS
	}}
}

// errorIn is the ICMP error that control data tells. What comes with it is a datagram that was sent, and none that came.
func errorIn(control []byte) (wsk.ReceiveError, bool) {
	it := wsk.CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		if m.Type == wsk.IP_RECVERR && (m.Level == wsk.IPPROTO_IP || m.Level == wsk.IPPROTO_IPV6) {
			return wsk.ParseReceiveError(m.Data)
		}
	}
	return wsk.ReceiveError{}, false
}

// Hear takes note of an error, whoever has heard it.
func (l *Listener) Hear(e wsk.ReceiveError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kinds) == 0 {
		close(l.heard)
	}
	for i := range l.kinds {
		if k := &l.kinds[i]; k.Protocol == e.Protocol && k.Type == e.Type && k.Code == e.Code {
			k.Messages++
			return
		}
	}
	if len(l.kinds) < mostKinds {
		l.kinds = append(l.kinds, Error{e.Protocol, e.Type, e.Code, meaning(e), 1})
	}
}

// Listen asks for the errors of a socket that is bound.
func (l *Listener) Listen(ctx context.Context, family uint16, socket *wsk.Socket) error {
	level, option := uint32(wsk.IPPROTO_IPV6), uint32(wsk.IPV6_RECVERR)
	if family == wsk.AF_INET {
		level, option = wsk.IPPROTO_IP, wsk.IP_RECVERR
	}
	if err := client.SetOption(ctx, socket, level, option, 1); err != nil {
		return err
	}
	return client.EnableReceiveFrom(ctx, socket)
}

// Heard is closed when the first error is there.
func (l *Listener) Heard() <-chan struct{} { return l.heard }

// Errors is what was heard, most messages first. It is never nil.
func (l *Listener) Errors() []Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := append([]Error{}, l.kinds...)
	slices.SortStableFunc(out, func(a, b Error) int { return cmp.Compare(b.Messages, a.Messages) })
	return out
}
