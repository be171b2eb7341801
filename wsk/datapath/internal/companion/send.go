// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// The slow path: operations to the host itself, to loopback, and over interfaces on which AF_XDP is not to be had
// go through the companion socket, each datagram, or super datagram, by a system call, on a goroutine that lives while there are some. The
// kernel has taken it when sendmsg returns, and that completes the operation.

// unsetPolicy is no FragmentPolicy: the socket's setting is not known yet.
const unsetPolicy wsk.FragmentPolicy = 0xff

// sender is the slow path of an endpoint: it sends through the companion socket.
type sender struct {
	host   *Host
	socket *socket
	local  netip.Addr // unmapped

	mu      lockrank.Mutex[locks.SenderMu]
	waiting ops.List
	sending atomic.Bool // the goroutine lives; written with mu held
	closed  bool
	aborted bool
	current *wsk.SendOp                         // that the goroutine is sending
	awaited map[*wsk.SendOp][]chan wsk.NTSTATUS // see ended

	mark mark

	// Touched by the goroutine only; policy and noCheck are what the socket is set to.
	policy  wsk.FragmentPolicy
	noCheck bool
	out     outlet
}

func (s *sender) init(h *Host, companion *socket, local netip.Addr) {
	s.host, s.socket, s.local, s.policy = h, companion, local.Unmap(), unsetPolicy
	s.out.socket = companion
	s.mark.init(companion)
}

// send takes an operation.
func (s *sender) send(op *wsk.SendOp) {
	op.SetProgress(wsk.SendSought) // the kernel answers in the course of its call
	s.mu.Lock()
	switch {
	case s.closed:
		s.tellLocked(op, wsk.STATUS_FILE_FORCED_CLOSED)
		s.mu.Unlock()
		s.host.Finish(op, wsk.STATUS_FILE_FORCED_CLOSED)
		return
	case s.aborted || !op.ArmCancel(s):
		s.tellLocked(op, wsk.STATUS_CANCELLED)
		s.mu.Unlock()
		s.host.Finish(op, wsk.STATUS_CANCELLED)
		return
	}
	s.waiting.PushBack(op)
	if !s.sending.Load() {
		s.sending.Store(true)
		// Under the lock: without it the operation could end, and with it the datapath, before the goroutine is
		// counted.
		s.host.GoRun(s.sendLoop)
	}
	s.mu.Unlock()
}

// CancelSend implements wsk.Canceller.
func (s *sender) CancelSend(op *wsk.SendOp) {
	s.mu.Lock()
	if op.Transport.Linked {
		s.waiting.Remove(op)
	}
	s.tellLocked(op, wsk.STATUS_CANCELLED)
	s.mu.Unlock()
	s.host.Finish(op, wsk.STATUS_CANCELLED)
}

// abort cancels what waits, and refuses what comes; a sendmsg that waits for buffer space is interrupted.
func (s *sender) abort() {
	var cancelled ops.List
	s.mu.Lock()
	s.aborted = true
	for op := s.waiting.Head; op != nil; op = s.waiting.Head {
		s.waiting.Remove(op)
		if op.DisarmCancel() {
			op.Transport.Status = wsk.STATUS_CANCELLED
			s.tellLocked(op, wsk.STATUS_CANCELLED)
			cancelled.PushBack(op)
		}
	}
	s.mu.Unlock()
	s.socket.file.SetWriteDeadline(time.Unix(1, 0))
	s.host.FinishAll(&cancelled)
}

func (s *sender) sendLoop() {
	for {
		s.mu.Lock()
		op := s.waiting.Head
		if op == nil {
			s.sending.Store(false)
			s.mu.Unlock()
			return
		}
		s.waiting.Remove(op)
		mine := op.DisarmCancel()
		if mine {
			s.current = op
		}
		s.mu.Unlock()
		if !mine {
			continue
		}
		status := s.sendOp(op)
		stats := &s.host.Stats
		if status == wsk.STATUS_SUCCESS {
			stats.SlowSent.Add(1)
		} else {
			stats.SlowFailed.Add(1)
		}
		s.tell(op, status)
		s.host.Finish(op, status)
	}
}

// isSending reports whether something is being sent. It is for whoever may hold no more locks, too.
func (s *sender) isSending() bool { return s.sending.Load() }

// close refuses further operations. None waits any more.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// sendOp sends every datagram of an operation.
func (s *sender) sendOp(op *wsk.SendOp) wsk.NTSTATUS {
	if err := s.configure(op); err != nil {
		return errnoStatus(err)
	}
	to, err := s.socket.sockaddr(netip.AddrPortFrom(s.destination(op), op.To.Port))
	if err != nil {
		return errnoStatus(err)
	}
	s.out.control = appendControl(s.out.control[:0], op, s.local)
	segment := int(op.Segment)
	for i := range op.Bufs {
		if err := s.out.sendBuf(&op.Bufs[i], segment, op.To.Flags&wsk.NoChecksum == 0, to); err != nil {
			if errors.Is(err, unix.EPERM) { // netfilter's, a control group's or IPsec's word
				op.SetProgress(wsk.SendFiltered)
			}
			return errnoStatus(err)
		}
	}
	return wsk.STATUS_SUCCESS
}

// destination is the remote address, with the interface as the scope of a link-local one.
func (s *sender) destination(op *wsk.SendOp) netip.Addr {
	a := op.To.IP()
	if op.To.IfIndex != 0 && a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) {
		a = a.WithZone(zoneOf(op.To.IfIndex))
	}
	return a
}

// configure sets what no control message can: fragmentation and the checksum, and the mark, for which a control message
// takes a privilege that the process may have given up since.
func (s *sender) configure(op *wsk.SendOp) error {
	if err := s.mark.set(op.To.Mark); err != nil {
		return err
	}
	return s.socket.control(func(fd int) error {
		if s.policy != op.To.Fragment {
			if err := setFragmentPolicy(fd, s.socket.six, op.To.Fragment); err != nil {
				return err
			}
			s.policy = op.To.Fragment
		}
		if no := op.To.Flags&wsk.NoChecksum != 0; no != s.noCheck {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, boolInt(no)); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
			s.noCheck = no
		}
		return nil
	})
}
