// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

var (
	// ErrNotSupported is what errors.Is finds in the answer "no" of a probe, and in a refusal for lack of a feature.
	ErrNotSupported = nic.ErrNotSupported
	// ErrClosed is returned for a socket that was closed. It is net.ErrClosed.
	ErrClosed = net.ErrClosed
	// ErrNoTxQueue says that the queue has no TX side: the kernel would bind it and then transmit nothing, for ever,
	// without an error.
	ErrNoTxQueue = errors.New("no such TX queue")
	// ErrModeMismatch says that the kernel bound in another mode than was asked for.
	ErrModeMismatch = errors.New("bound in another mode")
)

// FeatureError is the answer "no" of a probe: this kernel or driver has not got the feature. errors.Is finds
// ErrNotSupported in it. Its fields and methods are those of [nic.FeatureError].
type FeatureError = nic.FeatureError

// Names of the steps of Open, the values of [OpError.Op].
const (
	opOptions     = "options"
	opInterface   = "find interface"
	opQueue       = "check queue"
	opSocket      = "open AF_XDP socket"
	opSndBuf      = "set send buffer"
	opMapUMEM     = "map UMEM"
	opRegister    = "register UMEM"
	opFillRing    = "create fill ring"
	opCompletion  = "create completion ring"
	opTxRing      = "create TX ring"
	opRxRing      = "create RX ring"
	opBudget      = "set TX budget"
	opOffsets     = "read ring offsets"
	opMapFill     = "map fill ring"
	opMapComp     = "map completion ring"
	opMapTx       = "map TX ring"
	opMapRx       = "map RX ring"
	opBind        = "bind"
	opReadOptions = "read bind result"
	opServe       = "wake up zero-copy queue"
	opStatistics  = "read statistics"
	opClose       = "close"
)

// OpError is the error of everything that opens or closes a socket.
type OpError struct {
	// Op is the step that failed, a verb phrase.
	Op string
	// Ifname and Queue say where. Ifname is "interface N" when only the index is known.
	Ifname string
	Queue  uint32
	// Mode is the mode that was being tried.
	Mode Mode
	// Err is the cause; errors.Is finds the errno in it.
	Err error
	// Hint says what to do about it, or is empty.
	Hint string
}

// Error is one line: operation, place, cause, remedy.
func (e *OpError) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Ifname != "" {
		fmt.Fprintf(&b, " %s queue %d", e.Ifname, e.Queue)
	}
	if e.Op == opBind {
		fmt.Fprintf(&b, " %v", e.Mode)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// hint is what a user can do about an errno in a step of Open. Empty when there is nothing useful to say.
func hint(op string, mode Mode, err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	switch {
	case op == opSocket && (errno == unix.EPERM || errno == unix.EACCES):
		return "AF_XDP needs CAP_NET_RAW in the user namespace that owns this network namespace: run as root, " +
			"setcap cap_net_raw+ep on the program, or use a user and network namespace of your own"
	case op == opSocket && errno == unix.EAFNOSUPPORT:
		return "this kernel has no AF_XDP: it needs CONFIG_XDP_SOCKETS"
	case op == opRegister && errno == unix.ENOBUFS:
		return "the UMEM exceeds the locked memory allowed: raise RLIMIT_MEMLOCK (ulimit -l), " +
			"give CAP_IPC_LOCK, or use fewer chunks"
	case op == opMapUMEM && errno == unix.ENOMEM:
		return "not enough memory for the UMEM: use fewer chunks"
	case op == opBind:
		return bindHint(mode, errno)
	case op == opServe:
		return "the driver needs an XDP program attached in native mode before it serves zero-copy: attach one, or use copy mode"
	case op == opInterface && errno == unix.ENODEV:
		return "no such interface in this network namespace: see ip link"
	}
	return ""
}

func bindHint(mode Mode, errno syscall.Errno) string {
	switch errno {
	case unix.EBUSY:
		return "another AF_XDP socket holds the queue: a running process (see ss --xdp), or one whose rings are " +
			"still mapped; choose another queue or end it"
	case unix.EOPNOTSUPP:
		if mode == ModeZeroCopy {
			return "the driver has no zero-copy, or needs an XDP program attached first: use copy mode"
		}
		return "the interface does not take AF_XDP sockets"
	case unix.EINVAL:
		if mode == ModeZeroCopy {
			return "the driver refuses zero-copy with these settings: use copy mode or another chunk size"
		}
		return "the queue is out of range or the interface refuses the chunk size: see ethtool -l"
	case unix.ENODEV:
		return "the interface is gone from this network namespace: see ip link"
	case unix.EPERM:
		return "the bind needs CAP_NET_RAW"
	case unix.ENETDOWN:
		return "bring the interface up: ip link set up"
	}
	return ""
}
