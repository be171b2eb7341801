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
	early []Error       // about what was sent before Begin
	heard chan struct{} // closed with the first of kinds
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
	l.kinds = with(l.kinds, Error{e.Protocol, e.Type, e.Code, meaning(e), 1})
}

// HearEarly takes note of an error about what was sent before Begin, whenever it comes.
func (l *Listener) HearEarly(e wsk.ReceiveError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.early = with(l.early, Error{e.Protocol, e.Type, e.Code, meaning(e), 1})
}

// Begin says that what is sent from now on is another matter: what was heard until now is none of it.
func (l *Listener) Begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.kinds {
		l.early = with(l.early, e)
	}
	if len(l.kinds) > 0 {
		l.kinds, l.heard = nil, make(chan struct{})
	}
}

// with is a list with the messages of e in it, unless it has as many kinds as it may.
func with(list []Error, e Error) []Error {
	for i := range list {
		if k := &list[i]; k.Protocol == e.Protocol && k.Type == e.Type && k.Code == e.Code {
			k.Messages += e.Messages
			return list
		}
	}
	if len(list) < mostKinds {
		list = append(list, e)
	}
	return list
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

// Heard is closed when the first error is there, or the first since Begin.
func (l *Listener) Heard() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}

// Errors is what was heard, since Begin where that was called, most messages first. It is never nil.
func (l *Listener) Errors() []Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sorted(l.kinds)
}

// Early is what was heard about what was sent before Begin, most messages first. It is never nil.
func (l *Listener) Early() []Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sorted(l.early)
}

func sorted(list []Error) []Error {
	out := append([]Error{}, list...)
	slices.SortStableFunc(out, func(a, b Error) int { return cmp.Compare(b.Messages, a.Messages) })
	return out
}
