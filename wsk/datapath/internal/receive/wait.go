// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Waiter lets a goroutine sleep until a socket has frames.
type Waiter interface {
	// Wait returns true once ready does, which it asks first and after each wake-up, or after Interrupt, and false after End.
	Wait(ready func() bool) bool
	// Interrupt ends a Wait, or the next one.
	Interrupt()
	// End ends Wait, and gives back what refers to the socket.
	End()
}

// splitSocket is a socket whose RX ring can be waited on.
type splitSocket interface{ RXFD() int }

var errNoRX = errors.New("the socket has no RX ring")

// budget is how many frames a driver may hand over before it lets others run, and how many a receiver looks at before
// they are delivered.
const budget = 64

// pollWaiter waits in the runtime's poller, on a duplicate of the RX socket's descriptor. That socket has no TX ring,
// so the poller's look at it does not transmit (see xdp.Options.SplitRX).
type pollWaiter struct {
	file *os.File
	raw  syscall.RawConn
}

// NewPollWaiter is a Waiter in the runtime's poller; see Options.BusyPoll for busyPoll. The socket must be split, see
// xdp.Options.SplitRX.
func NewPollWaiter(sock xdp.Queue, busyPoll time.Duration) (Waiter, error) {
	split, ok := sock.(splitSocket)
	if !ok {
		return nil, errNoRX
	}
	fd, err := unix.FcntlInt(uintptr(split.RXFD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate RX socket: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make RX socket non-blocking: %w", err)
	}
	if err := setBusyPoll(fd, busyPoll); err != nil {
		unix.Close(fd)
		return nil, err
	}
	w := &pollWaiter{file: os.NewFile(uintptr(fd), "xdp rx")}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, fmt.Errorf("wait for RX socket: %w", err)
	}
	return w, nil
}

func (w *pollWaiter) Wait(ready func() bool) bool {
	err := w.raw.Read(func(uintptr) bool { return ready() })
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return w.file.SetReadDeadline(time.Time{}) == nil
	}
	return err == nil
}

func (w *pollWaiter) Interrupt() { w.file.SetReadDeadline(time.Unix(1, 0)) }

func (w *pollWaiter) End() { w.file.Close() }

// setBusyPoll makes a system call on the socket run the driver's poll for up to d, and tells the driver to leave its
// interrupts off meanwhile (Linux 6.1; without it, on 5.10, the first option alone still helps).
func setBusyPoll(fd int, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PREFER_BUSY_POLL, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUSY_POLL_BUDGET, budget)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUSY_POLL, int(d.Microseconds())); err != nil {
		return fmt.Errorf("set busy polling of %v: %w", d, err)
	}
	return nil
}
