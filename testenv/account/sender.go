// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Plan says what a sender sends.
type Plan struct {
	Run  uint64
	Flow uint32
	// Size is the length of a payload in bytes; MaxSize, where it is larger, the longest of different ones.
	Size, MaxSize int
	// Rate is in datagrams a second, 0 as many as go.
	Rate int
	// Window is how many may be under way at once.
	Window int
}

func (p *Plan) size(seq uint64) int {
	if p.MaxSize <= p.Size {
		return p.Size
	}
	return p.Size + int(seq*7919%uint64(p.MaxSize-p.Size+1))
}

// pace is when the datagram with a number is due.
func (p *Plan) pace(start time.Time, n int) time.Time {
	if p.Rate == 0 {
		return start
	}
	return start.Add(time.Duration(n) * time.Second / time.Duration(p.Rate))
}

// NTSTATUSFate is what a status says about the datagram.
func NTSTATUSFate(s wsk.NTSTATUS) Fate {
	switch s {
	case wsk.STATUS_SUCCESS:
		return Sent
	case wsk.STATUS_CANCELLED, wsk.STATUS_FILE_FORCED_CLOSED, wsk.STATUS_FILE_CLOSED, wsk.STATUS_IO_TIMEOUT:
		// The kernel may have had it when the socket, the device or the patience ended.
		return Open
	}
	return Refused
}

// NTSTATUSName names a code of a WSK sender's book.
func NTSTATUSName(code uint32) string { return wsk.NTSTATUS(code).String() }

// Sender sends the datagrams of a flow through a WSK socket and keeps what became of each.
type Sender struct {
	Book *Book
	plan Plan
	to   wsk.SOCKADDR

	slots chan *slot

	mu     sync.Mutex
	all    []*slot
	socket *wsk.Socket
}

// slot is an IRP with a payload of its own.
type slot struct {
	mu     sync.Mutex // between a canceller and the reuse
	sender *Sender
	irp    *wsk.IRP
	buf    wsk.Buf
	data   []byte
	seq    uint64
}

// NewSender makes a sender over a bound socket.
func NewSender(socket *wsk.Socket, to wsk.SOCKADDR, plan Plan) *Sender {
	s := &Sender{Book: NewBook(plan.Flow, NTSTATUSName), plan: plan, to: to, socket: socket, slots: make(chan *slot, plan.Window)}
	for range plan.Window {
		sl := &slot{sender: s, irp: wsk.AllocateIRP(), data: make([]byte, 0, max(plan.Size, plan.MaxSize))}
		s.all = append(s.all, sl)
		s.slots <- sl
	}
	return s
}

// SetSocket lets the sender go on with another socket.
func (s *Sender) SetSocket(socket *wsk.Socket) {
	s.mu.Lock()
	s.socket = socket
	s.mu.Unlock()
}

func (s *Sender) current() *wsk.Socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.socket
}

// Run sends until ctx ends or n datagrams are begun; n < 0 has no end. It does not wait for those under way.
func (s *Sender) Run(ctx context.Context, n int) {
	start := time.Now()
	for i := 0; n < 0 || i < n; i++ {
		if wait := time.Until(s.plan.pace(start, i)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		select {
		case sl := <-s.slots:
			sl.send()
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (sl *slot) send() {
	s := sl.sender
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.seq = s.Book.Begin()
	sl.data = Tag{s.plan.Run, s.plan.Flow, sl.seq}.Append(sl.data[:0], s.plan.size(sl.seq))
	sl.buf = wsk.Buf{Mdl: wsk.AllocateMDL(sl.data), Length: uintptr(len(sl.data))}
	sl.irp.Reuse(wsk.STATUS_SUCCESS)
	sl.irp.SetCompletionRoutine(sl.complete, nil, true, true, true)
	s.current().SendTo(&sl.buf, 0, s.to, nil, sl.irp)
}

// complete is the completion routine.
func (sl *slot) complete(irp *wsk.IRP, _ any) wsk.NTSTATUS {
	fate, code := NTSTATUSFate(irp.IoStatus.Status), uint32(irp.IoStatus.Status)
	want := uintptr(0)
	if fate == Sent {
		want = uintptr(len(sl.data))
	}
	if irp.IoStatus.Information != want {
		sl.sender.Book.Complain(sl.seq, fmt.Sprintf("ended with %v and Information %d", irp.IoStatus.Status, irp.IoStatus.Information))
	}
	sl.sender.Book.End(sl.seq, fate, code)
	sl.sender.slots <- sl
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// Cancel cancels one of the IRPs.
func (s *Sender) Cancel(n int) {
	sl := s.all[n%len(s.all)]
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.irp.Cancel()
}

// String names the flow.
func (s *Sender) String() string { return fmt.Sprintf("flow %d", s.plan.Flow) }
