// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"syscall"

	"github.com/wsk-xdp/wsk-xdp/xdp/internal/hook"
)

// Queue is one AF_XDP socket as a datapath uses it. [Socket] is the real one; the Kernel of package xdptest is a fake
// over plain memory. A datapath fetches the rings and the UMEM once and then calls their methods directly: no
// interface call per frame.
//
// The concurrency rules are those of [Socket] and of the rings.
type Queue interface {
	// TX is the ring of frames to send.
	TX() *TxRing
	// Completion is the ring of TX chunks that came back.
	Completion() *CompletionRing
	// Fill is the ring of chunks to receive into.
	Fill() *FillRing
	// RX is the ring of received frames, nil when the queue was opened without RX chunks.
	RX() *RxRing
	// UMEM is the memory of all chunks.
	UMEM() *UMEM

	// Kick makes the kernel transmit what is in the TX ring and returns the bare errno, 0 for none. [ClassifyKick] says
	// what each means. After any errno, and after 0, look at the completions (see TxRing.Completed) and TX().Pending().
	Kick() syscall.Errno
	// KickIfNeeded kicks unless the kernel said that it goes on by itself, and reports whether it did.
	KickIfNeeded() (errno syscall.Errno, kicked bool)
	// WakeRX makes the kernel look at the fill ring again.
	WakeRX() syscall.Errno

	// Granted is what the kernel gave, read back.
	Granted() Granted
	// Statistics are the kernel's counters of this socket.
	Statistics() (Statistics, error)
	// Counters are this side's counters.
	Counters() Counters

	// Close gives everything back. It is idempotent.
	Close() error
}

// killRings takes the rings and the UMEM of a queue off their memory, for good, before the memory goes. A late user
// then finds empty and full rings and no frames, as far as the Go memory model promises it anything, and panics when it
// publishes what it had reserved. Nothing else may use rings or UMEM meanwhile.
func killRings(q Queue) {
	q.TX().kill()
	q.Completion().kill()
	q.Fill().kill()
	if rx := q.RX(); rx != nil {
		rx.kill()
	}
	q.UMEM().kill()
}

func init() { hook.KillRings = func(queue any) { killRings(queue.(Queue)) } }
