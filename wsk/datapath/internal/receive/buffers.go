// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"sync"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// SmallBuffer and FrameBuffer are the sizes of the two smaller classes of buffers.
const (
	SmallBuffer = 256
	FrameBuffer = 2048
)

// bufferSizes are the classes of buffers outside the UMEM: most requests and answers, a frame of an ordinary link, one of
// a jumbo link, whose MTU is 9216 at most and to which Go gives so much, anything.
var bufferSizes = [...]int{SmallBuffer, FrameBuffer, 9472, 65536}

// lentLimit bounds what the clients of one datapath keep outside the UMEM.
const lentLimit = 256 << 20

// Buffers are the pools of memory outside the UMEM. All methods are safe for concurrent use.
type Buffers struct {
	pools [len(bufferSizes)]sync.Pool
	lent  atomic.Int64 // bytes in datagrams
}

// Full reports whether the clients keep so much that nothing more is to be lent to them.
func (p *Buffers) Full() bool { return p.lent.Load() >= lentLimit }

// Buffer is room for a datagram in ordinary memory: for one from a companion socket, for a further copy of a
// multicast, or for one that had to leave the UMEM. It is the lender of its datagram, so that a release finds buffer
// and structure without a look-up.
type Buffer struct {
	home  *Buffers
	class int

	Bytes []byte
	Err   wsk.ReceiveError // room for the error of a datagram that tells of one

	// spare is the structure for the datagram while the buffer is not lent. It is not always the one it was made
	// with: a datagram that leaves the UMEM takes its structure along and leaves this one for the chunk.
	spare *wsk.Datagram
	lent  atomic.Bool
}

// Get returns a buffer of at least n bytes, which are at most the largest class, 65,536. The caller owns it until it
// has become a datagram.
func (p *Buffers) Get(n int) *Buffer {
	class := 0
	for n > bufferSizes[class] {
		class++
	}
	if b, _ := p.pools[class].Get().(*Buffer); b != nil {
		return b
	}
	return &Buffer{home: p, class: class, Bytes: make([]byte, bufferSizes[class]), spare: new(wsk.Datagram)}
}

// Datagram is a datagram whose payload is the first n bytes of the buffer; the caller fills in the rest. The buffer
// goes back to its pool when the datagram is released.
func (b *Buffer) Datagram(n int) *wsk.Datagram {
	d := b.spare
	b.spare = nil
	*d = wsk.Datagram{Payload: b.Bytes[:n:n], Lender: b, Memory: uint32(len(b.Bytes))}
	b.lend()
	return d
}

// CopyOf is a datagram like d in memory of its own.
func (p *Buffers) CopyOf(d *wsk.Datagram) *wsk.Datagram {
	b := p.Get(len(d.Payload))
	n := copy(b.Bytes, d.Payload)
	e := b.Datagram(n)
	payload := e.Payload
	*e = *d
	e.Payload, e.Lender, e.Slot, e.Next, e.Memory = payload, b, 0, nil, uint32(len(b.Bytes))
	return e
}

// moveIn moves the payload of d, which leaves its chunk, into the buffer, and returns the structure that the chunk
// uses from now on.
func (b *Buffer) moveIn(d *wsk.Datagram) (fresh *wsk.Datagram) {
	n := copy(b.Bytes, d.Payload)
	fresh, b.spare = b.spare, nil
	d.Payload, d.Lender, d.Slot, d.Memory = b.Bytes[:n:n], b, 0, uint32(len(b.Bytes))
	b.lend()
	return fresh
}

// putBack returns a buffer that has not become a datagram.
func (b *Buffer) putBack() { b.home.pools[b.class].Put(b) }

// lend notes that the buffer is in a datagram.
func (b *Buffer) lend() {
	b.lent.Store(true)
	b.home.lent.Add(int64(len(b.Bytes)))
}

// Release implements wsk.Lender.
func (b *Buffer) Release(d *wsk.Datagram) {
	if !b.lent.CompareAndSwap(true, false) {
		panic("receive: a datagram was released twice")
	}
	*d = wsk.Datagram{}
	b.spare = d
	b.home.lent.Add(-int64(len(b.Bytes)))
	b.putBack()
}

// Keep implements wsk.Lender: nothing runs dry for these.
func (b *Buffer) Keep(*wsk.Datagram) {}
