// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// op is one WSK call with an IRP and all the memory that the call needs, from its begin at a [side] to its end there.
// Ops that are idle are kept, so that a datagram allocates nothing.
type op struct {
	irp         wsk.IRP
	buf         wsk.Buf
	mdl         wsk.MDL
	mdls        []wsk.MDL // of scattered buffers
	batch       wsk.Batch // of the calls of which this is the first
	address     [wsk.SizeofSockaddrIn6]byte
	control     []byte       // room for control data, maxControl at least
	length      uint32       // of the control data received
	sentControl []byte       // control data of a send, in control
	remote      wsk.SOCKADDR // of a copy, in address; nil for the fixed one
	flags       uint32       // MSG_ flags of Windows

	// Of a copy, see buffered.go.
	ended   func(*op) // called by the completion
	to      netip.AddrPort
	data    []byte
	large   *[largest]byte
	parties atomic.Int32 // the write and the completion: whichever is last gives the op back
	told    bool         // the write knows what has become of it; set before it is no party any more

	// Guarded by the side's mutex.
	next, prev   *op
	older, newer *op  // copies under way
	cost         int  // of a copy
	bumped       bool // cancelled to make room
	parked       bool
	probe        bool // it is tried for the others that are parked
	parkedAt     time.Time
	tries        int
	linked       bool
	timedOut     bool // cancelled by the deadline
	expiring     bool // the deadline is about to cancel it, or does
	taken        bool // the deadline has taken it back
	cancellers   int  // who have it; the last of them or the caller, whoever is last, puts it away
	over         bool // the caller is done with it
}

// maxControl is more than the 224 bytes that all the objects take that a socket can be asked for.
const maxControl = 256

func newOp() *op { return &op{control: make([]byte, maxControl)} }

// pointAt makes the buffer describe one slice.
func (o *op) pointAt(b []byte) {
	o.mdl.Init(b)
	o.buf = wsk.Buf{Mdl: &o.mdl, Length: uintptr(len(b))}
}

// pointAtAll makes the buffer describe several slices, one after the other.
func (o *op) pointAtAll(bufs [][]byte) {
	if len(bufs) == 1 {
		o.pointAt(bufs[0])
		return
	}
	o.mdls = grow(o.mdls, len(bufs))
	o.buf = chain(o.mdls, bufs)
}

// chain links as many MDLs as there are slices.
func chain(mdls []wsk.MDL, bufs [][]byte) wsk.Buf {
	if len(bufs) == 0 {
		return wsk.Buf{}
	}
	length := 0
	for i, b := range bufs {
		mdls[i].Init(b)
		mdls[i].Next = nil
		if i > 0 {
			mdls[i-1].Next = &mdls[i]
		}
		length += len(b)
	}
	return wsk.Buf{Mdl: &mdls[0], Length: uintptr(length)}
}

// grow returns a slice of n elements, whose values do not matter.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// wait waits for the end of a call that has returned status, and gives the status of its IRP.
func (o *op) wait(status wsk.NTSTATUS) wsk.NTSTATUS {
	if status != wsk.STATUS_PENDING {
		return status
	}
	// There is no other way out: the memory is the provider's until the IRP completes. A caller who wants the call to
	// end early cancels the IRP.
	_ = o.irp.Wait(context.Background())
	return o.irp.IoStatus.Status
}

// waitReceive is wait for a receive of a socket.
func (o *op) waitReceive(socket *wsk.Socket, status wsk.NTSTATUS) wsk.NTSTATUS {
	if status != wsk.STATUS_PENDING {
		return status
	}
	socket.WaitReceive(&o.irp)
	return o.irp.IoStatus.Status
}

// copyLeft is the completion routine of a copy.
func copyLeft(irp *wsk.IRP, context any) wsk.NTSTATUS {
	o := context.(*op)
	o.ended(o)
	return wsk.STATUS_SUCCESS
}

// maxKept is the most memory for lists that an idle op keeps, in elements.
const maxKept = 1 << 10

// clear makes an op that is over as good as new, and drops its references to the caller's memory.
func (o *op) clear() {
	o.irp.Reuse(wsk.STATUS_SUCCESS)
	o.buf = wsk.Buf{}
	o.mdl.Init(nil)
	clear(o.mdls)
	clear(o.batch.Sends)
	if cap(o.mdls) > maxKept {
		o.mdls = nil
	}
	if cap(o.control) > maxKept {
		o.control = make([]byte, maxControl)
	}
	if o.large != nil {
		large.Put(o.large)
		o.large = nil
	}
	o.ended = nil
	o.length, o.flags, o.sentControl = 0, 0, nil
	o.timedOut, o.taken, o.over, o.bumped = false, false, false, false
	o.parked, o.probe, o.parkedAt, o.tries, o.remote = false, false, time.Time{}, 0, nil
}
