// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// KickResult is what the errno of a Kick means for the descriptors in the TX ring.
type KickResult uint8

// The meanings of a Kick's errno.
const (
	// KickDone: nothing went wrong. Descriptors may still be pending: the kernel stops at an invalid descriptor and
	// returns 0.
	KickDone KickResult = iota
	// KickDropped: the last descriptor consumed, TxRing.At(Consumer()−1), was dropped by the device (peer down, its
	// receive ring full, frame too long). Its completion is there already: on many kernels Consumer is right only after
	// TxRing.Completed was told of it. The rest waits: kick again.
	KickDropped
	// KickLimited: the call stopped early and may have made progress (budget, full completion ring, socket buffer,
	// memory, busy device). Harvest completions, then kick again.
	KickLimited
	// KickLinkDown: the interface is administratively down. Descriptors wait in the ring until it is up and
	// somebody kicks.
	KickLinkDown
	// KickGone: the device is deleted or the socket closed. What is in the ring will never be sent.
	KickGone
	// KickBadDescriptor: the kernel refuses the descriptor at the consumer for ever (metadata that was not
	// registered). Our own bug: the ring is stuck and the socket must be rebuilt.
	KickBadDescriptor
	// KickFatal: anything else. The socket is of no use; show the errno.
	KickFatal
	// KickUnserved, zero-copy only: the driver has no such queue now, or no memory of this socket in it: a reset, an
	// XDP program that was taken away, another number of queues, or a device that is gone. Netlink knows whether the
	// device is still there; if it is, the socket must be rebuilt.
	KickUnserved

	kickResults = iota
)

var kickResultNames = [kickResults]string{
	"done", "dropped", "limited", "link down", "gone", "bad descriptor", "fatal", "unserved",
}

// String names the result in lower case.
func (r KickResult) String() string {
	if int(r) < len(kickResultNames) {
		return kickResultNames[r]
	}
	return "unknown"
}

// ClassifyKick says what the errno of [Queue.Kick] means in copy mode. It is the one place that knows. Its source is
// the behaviour of xsk_sendmsg and __xsk_generic_xmit in net/xdp/xsk.c.
func ClassifyKick(errno syscall.Errno) KickResult {
	switch errno {
	case 0:
		return KickDone
	case unix.EBUSY:
		return KickDropped
	case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
		return KickLimited
	case unix.ENOMEM:
		// No memory for the bookkeeping of an skb: the kernel leaves the descriptor in the ring for
		// another try, exactly as for EAGAIN.
		return KickLimited
	case unix.ENETDOWN:
		return KickLinkDown
	case unix.ENXIO, unix.ENODEV, unix.EBADF:
		return KickGone
	case unix.EINVAL:
		return KickBadDescriptor
	default:
		return KickFatal
	}
}

// ClassifyZeroCopyKick says what the errno of [Queue.Kick] means in zero-copy mode, where the call only asks the driver
// to look at the ring. No errno is about a descriptor, and what each means depends on the driver. The source is
// ndo_xsk_wakeup of igb, igc, ixgbe, i40e, ice, mlx5, stmmac and virtio-net, and xsk_sendmsg in net/xdp/xsk.c.
func ClassifyZeroCopyKick(errno syscall.Errno) KickResult {
	switch errno {
	case 0:
		return KickDone
	case unix.EAGAIN, unix.EBUSY, unix.ENOBUFS, unix.EINTR, unix.ENOMEM:
		// i40e says EAGAIN while it is being configured.
		return KickLimited
	case unix.ENETDOWN:
		// The interface is down, or the driver is in the middle of a reset or of a change of the queue.
		return KickLinkDown
	case unix.EINVAL, unix.ENXIO, unix.ENODEV, unix.EOPNOTSUPP:
		return KickUnserved
	case unix.EBADF:
		return KickGone
	default:
		return KickFatal
	}
}
