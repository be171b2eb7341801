// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// batch is what the reader found in one receive.
type batch struct {
	messages []syscall.NetlinkMessage
	lost     bool // events before this were lost; the ones that follow are complete again
}

// receive reads the event socket until it is closed.
func (t *Table) receive() {
	defer t.running.Done()
	failures := 0
	for {
		messages, from, err := t.events.Receive()
		switch {
		case err == nil && from.Pid != nl.PidKernel:
			continue // not from the kernel: somebody in the namespace sends to our port
		case err == nil:
			failures = 0
		case errors.Is(err, os.ErrClosed) || t.closed():
			return
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
			continue
		default:
			// ENOBUFS: the kernel's queue was full and it delivers nothing more before the queue has been emptied. What is
			// in it is older than the loss, so it must not be applied over a newer dump.
			if failures++; !errors.Is(err, unix.ENOBUFS) {
				t.log.Warn("netlink events: receive", "err", err)
			}
			if !t.drain() {
				return
			}
			if failures > 10 && !t.pause(100*time.Millisecond) {
				return
			}
		}
		select {
		case t.incoming <- batch{messages, err != nil}:
		case <-t.done:
			return
		}
	}
}

// drain empties the kernel's queue. false: the socket has been closed.
func (t *Table) drain() bool {
	short := unix.NsecToTimeval(int64(time.Millisecond))
	_ = t.events.SetReceiveTimeout(&short)
	defer t.events.SetReceiveTimeout(&unix.Timeval{})
	// No event takes less than this of the queue (an skb with its data), so after that many the backlog is gone even if
	// new ones come as fast as they are read.
	const leastEvent = 256
	for range 2*t.opts.ReceiveBuffer/leastEvent + 16 {
		_, _, err := t.events.Receive()
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true
		case errors.Is(err, os.ErrClosed) || t.closed():
			return false
		}
	}
	return true
}

// pause waits, for when an error that nobody foresaw comes back at once. false: the table was closed.
func (t *Table) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.done:
		return false
	}
}
