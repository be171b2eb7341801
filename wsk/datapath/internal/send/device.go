// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Device is the interface that a queue belongs to.
type Device interface {
	Name() string
	// LinkNow asks the kernel, which takes a system call.
	LinkNow() LinkState
	// HasCarrier answers from memory where it was asked a moment ago.
	HasCarrier() bool
	IsGone() bool
	// NextFragmentID is the identification of a datagram in fragments.
	NextFragmentID() uint32
	// RefuseMetadata notes that the kernel takes no frames with TX metadata on this interface.
	RefuseMetadata()
	// Proving is held by the proof of checksum offload that runs on this interface.
	Proving() *lockrank.Mutex[locks.Proof]
}

// LinkState is what rtnetlink says of a device now.
type LinkState struct {
	Exists, Up, Carrier bool
}

// ReceiveHalf is the receiving half of a queue's socket.
type ReceiveHalf interface {
	// Start begins to receive on a fresh socket. Where it fails the frames of the queue pass to the kernel.
	Start(sock xdp.Queue) error
	// Close gives the socket back. It waits for no client; any lock of the queue may be held.
	Close(sock xdp.Queue) error
}

// sendOnly is the receiving half of a queue that has none.
type sendOnly struct{}

func (sendOnly) Start(xdp.Queue) error      { return nil }
func (sendOnly) Close(sock xdp.Queue) error { return sock.Close() }

// SlowPath sends through the kernel's stack what AF_XDP does not reach. It takes ownership of the operation.
type SlowPath interface {
	Send(op *wsk.SendOp)
	// SendAndWait is Send that returns when the operation has ended and what it sent has left the socket, or does not
	// leave within a moment. It returns the status in which it ended.
	SendAndWait(op *wsk.SendOp) wsk.NTSTATUS
	// Drain returns when what was given to it before has left the socket, or does not leave within a moment.
	Drain()
	// IsSending reports whether something that was given to it has not been handed to the kernel. It takes no lock.
	IsSending() bool
}
