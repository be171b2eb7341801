// SPDX-License-Identifier: Apache-2.0

package account

import (
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// EventReceiver takes what a WSK socket receives in its event callback, where nothing can be lost between transport and client.
type EventReceiver struct {
	*Arrivals
	// Dead is set when the socket was told that it is dead.
	Dead atomic.Bool
}

// NewEventReceiver makes a receiver for one or more sockets.
func NewEventReceiver(run uint64) *EventReceiver { return &EventReceiver{Arrivals: NewArrivals(run)} }

// Dispatch is what a socket is opened with.
func (r *EventReceiver) Dispatch() *wsk.ClientDatagramDispatch {
	return &wsk.ClientDatagramDispatch{ReceiveFromEvent: r.receive}
}

func (r *EventReceiver) receive(_ any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	if list == nil {
		r.Dead.Store(true)
	}
	for ; list != nil; list = list.Next {
		r.Take(Bytes(&list.Buffer))
	}
	return wsk.STATUS_SUCCESS
}

// Bytes are the bytes of a buffer, copied only where they are in several pieces.
func Bytes(b *wsk.Buf) []byte {
	offset, length := b.Offset, b.Length
	var out []byte
	for m := b.Mdl; m != nil && length > 0; m = m.Next {
		piece := m.Bytes()
		if int(offset) >= len(piece) {
			offset -= uint32(len(piece))
			continue
		}
		piece = piece[offset:]
		offset = 0
		piece = piece[:min(uintptr(len(piece)), length)]
		length -= uintptr(len(piece))
		if out == nil && length == 0 {
			return piece
		}
		out = append(out, piece...)
	}
	return out
}

// XDPReceiver takes frames with AF_XDP, by a library that shares nothing with package xdp.
type XDPReceiver struct {
	*Arrivals
	peer *testenv.XDPPeer
	seen int
}

// NewXDPReceiver listens at an interface.
func NewXDPReceiver(i *testenv.Iface, run uint64) (*XDPReceiver, error) {
	peer, err := testenv.NewXDPPeer(i, testenv.XDPPeerOptions{})
	if err != nil {
		return nil, err
	}
	return &XDPReceiver{Arrivals: NewArrivals(run), peer: peer}, nil
}

// Collect takes what came since the last call.
func (r *XDPReceiver) Collect() {
	frames := r.peer.Frames()
	for _, f := range frames[r.seen:] {
		if p, err := testenv.Decode(f.Data); err == nil && p.UDP {
			r.Take(p.Payload)
		}
	}
	r.seen = len(frames)
}

// Counters are what the kernel dropped for want of room.
func (r *XDPReceiver) Counters() (Counters, error) {
	s, err := r.peer.Stats()
	return Counters{"XSK peer dropped": s.KernelDropped}, err
}

// Close ends the receiver.
func (r *XDPReceiver) Close() error {
	r.Collect()
	return r.peer.Close()
}
