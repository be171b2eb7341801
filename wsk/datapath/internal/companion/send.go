// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/ops"
)

// The slow path: operations to the host itself, to loopback, and over interfaces on which AF_XDP is not to be had
// go through the companion socket, one datagram per system call, on a goroutine that lives while there are some. The
// kernel has taken a datagram when sendmsg returns, and that completes it.

// unsetPolicy is no FragmentPolicy: the socket's setting is not known yet.
const unsetPolicy wsk.FragmentPolicy = 0xff

// slowScratch is the sender goroutine's memory.
type slowScratch struct {
	pieces  [][]byte
	control []byte
}

// Send takes an operation for the slow path.
func (c *Companion) Send(op *wsk.SendOp) {
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
		c.own.Host.Finish(op, wsk.STATUS_FILE_FORCED_CLOSED)
		return
	case c.aborted || !op.ArmCancel(c):
		c.mu.Unlock()
		c.own.Host.Finish(op, wsk.STATUS_CANCELLED)
		return
	}
	c.waiting.PushBack(op)
	if !c.sending {
		c.sending = true
		// Under the lock: without it the operation could end, and with it the datapath, before the goroutine is counted.
		c.own.Host.GoRun(c.sendLoop)
	}
	c.mu.Unlock()
}

// CancelSend implements wsk.Canceller.
func (c *Companion) CancelSend(op *wsk.SendOp) {
	c.mu.Lock()
	if op.Transport.Linked {
		c.waiting.Remove(op)
	}
	c.mu.Unlock()
	c.own.Host.Finish(op, wsk.STATUS_CANCELLED)
}

// abort cancels what waits, and refuses what comes; a sendmsg that waits for buffer space is interrupted.
func (c *Companion) abort() {
	var cancelled ops.List
	c.mu.Lock()
	c.aborted = true
	for op := c.waiting.Head; op != nil; op = c.waiting.Head {
		c.waiting.Remove(op)
		if op.DisarmCancel() {
			op.Transport.Status = wsk.STATUS_CANCELLED
			cancelled.PushBack(op)
		}
	}
	c.mu.Unlock()
	c.file.SetWriteDeadline(time.Unix(1, 0))
	c.own.Host.FinishAll(&cancelled)
}

func (c *Companion) sendLoop() {
	for {
		c.mu.Lock()
		op := c.waiting.Head
		if op == nil {
			c.sending = false
			c.mu.Unlock()
			return
		}
		c.waiting.Remove(op)
		mine := op.DisarmCancel()
		c.mu.Unlock()
		if !mine {
			continue
		}
		status := c.sendOp(op)
		stats := &c.own.Host.Stats
		if status == wsk.STATUS_SUCCESS {
			stats.SlowSent.Add(1)
		} else {
			stats.SlowFailed.Add(1)
		}
		c.own.Host.Finish(op, status)
	}
}

// sendOp sends every datagram of an operation.
func (c *Companion) sendOp(op *wsk.SendOp) wsk.NTSTATUS {
	if err := c.configure(op); err != nil {
		return errnoStatus(err)
	}
	to, err := c.Sockaddr(netip.AddrPortFrom(c.destination(op), op.To.Port))
	if err != nil {
		return errnoStatus(err)
	}
	c.scratch.control = appendControl(c.scratch.control[:0], op, c.own.local.Addr().Unmap())
	for i := range op.Bufs {
		buf := &op.Bufs[i]
		total := int(buf.Length)
		step := total
		if s := int(op.Segment); s != 0 && s < total {
			step = s
		}
		for offset := 0; ; {
			n := min(step, total-offset)
			if err := c.sendOne(buf, offset, n, to); err != nil {
				return errnoStatus(err)
			}
			if offset += n; offset >= total {
				break
			}
		}
	}
	return wsk.STATUS_SUCCESS
}

// destination is the remote address, with the interface as the scope of a link-local one.
func (c *Companion) destination(op *wsk.SendOp) netip.Addr {
	a := op.To.IP()
	if op.To.IfIndex != 0 && a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) {
		a = a.WithZone(ZoneOf(op.To.IfIndex))
	}
	return a
}

var errShort = os.NewSyscallError("gather", unix.EFAULT)

func (c *Companion) sendOne(buf *wsk.Buf, offset, n int, to unix.Sockaddr) error {
	s := &c.scratch
	s.pieces = s.pieces[:0]
	for cur := buf.Cursor(offset); n > 0; {
		piece := cur.Next(n)
		if len(piece) == 0 {
			return errShort
		}
		s.pieces = append(s.pieces, piece)
		n -= len(piece)
	}
	if len(s.pieces) > maxIovecs {
		var flat []byte
		for _, p := range s.pieces {
			flat = append(flat, p...)
		}
		s.pieces = append(s.pieces[:0], flat)
	}
	var sent error
	err := c.raw.Write(func(fd uintptr) bool {
		_, sent = unix.SendmsgBuffers(int(fd), s.pieces, s.control, to, unix.MSG_DONTWAIT)
		return !errors.Is(sent, unix.EAGAIN)
	})
	clear(s.pieces)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
		return unix.ECANCELED
	case err != nil:
		return err
	}
	return sent
}

// maxIovecs is UIO_MAXIOV of the kernel.
const maxIovecs = 1024

// configure sets what no control message can: fragmentation and the checksum.
func (c *Companion) configure(op *wsk.SendOp) error {
	return c.Control(func(fd int) error {
		if c.policy != op.To.Fragment {
			if err := setFragmentPolicy(fd, c.Six, op.To.Fragment); err != nil {
				return err
			}
			c.policy = op.To.Fragment
		}
		if no := op.To.Flags&wsk.NoChecksum != 0; no != c.noCheck {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, boolInt(no)); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
			c.noCheck = no
		}
		return nil
	})
}

func setFragmentPolicy(fd int, six bool, policy wsk.FragmentPolicy) error {
	v4, v6 := unix.IP_PMTUDISC_DONT, unix.IPV6_PMTUDISC_DONT
	switch policy {
	case wsk.IP_PMTUDISC_DO:
		v4, v6 = unix.IP_PMTUDISC_DO, unix.IPV6_PMTUDISC_DO
	case wsk.IP_PMTUDISC_PROBE:
		v4, v6 = unix.IP_PMTUDISC_PROBE, unix.IPV6_PMTUDISC_PROBE
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, v4); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if !six {
		return nil
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, v6))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
