// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"sync"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// copySizes are the classes of buffers outside the UMEM: a frame of an ordinary link, one of a jumbo link, anything.
var copySizes = [...]int{2048, 9216, 65536}

// Copies are the pools of those buffers.
type Copies struct {
	pools [len(copySizes)]sync.Pool
}

// Copied is a datagram in ordinary memory: one from the companion socket, a further copy of a multicast, or one that
// had to leave the UMEM. It is its own lender, so that a release finds buffer and structure without a look-up.
type Copied struct {
	home *sync.Pool
	Buf  []byte
	Err  wsk.ReceiveError
	// spare is the structure for the datagram while the buffer is not lent. It is not always the one it was made with: a
	// datagram that leaves the UMEM takes its structure along and leaves this one for the chunk.
	spare *wsk.Datagram
	Lent  atomic.Bool
}

// Take returns a buffer of at least n bytes, which are at most the largest class.
func (c *Copies) Take(n int) *Copied {
	class := 0
	for n > copySizes[class] {
		class++
	}
	if v, _ := c.pools[class].Get().(*Copied); v != nil {
		return v
	}
	return &Copied{home: &c.pools[class], Buf: make([]byte, copySizes[class]), spare: new(wsk.Datagram)}
}

// Fill makes a datagram of the buffer with the first n bytes as its payload; the caller fills in the rest.
func (c *Copied) Fill(n int) *wsk.Datagram {
	d := c.spare
	c.spare = nil
	*d = wsk.Datagram{Payload: c.Buf[:n:n], Lender: c}
	c.Lent.Store(true)
	return d
}

// CopyOf is a datagram like d in memory of its own.
func (c *Copies) CopyOf(d *wsk.Datagram) *wsk.Datagram {
	b := c.Take(len(d.Payload))
	n := copy(b.Buf, d.Payload)
	e := b.Fill(n)
	payload := e.Payload
	*e = *d
	e.Payload, e.Lender, e.Slot, e.Next = payload, b, 0, nil
	return e
}

// adopt moves the payload of d, which leaves its chunk, into the buffer, and returns the structure that the chunk uses from now on.
func (c *Copied) adopt(d *wsk.Datagram) (fresh *wsk.Datagram) {
	n := copy(c.Buf, d.Payload)
	fresh, c.spare = c.spare, nil
	d.Payload, d.Lender, d.Slot = c.Buf[:n:n], c, 0
	c.Lent.Store(true)
	return fresh
}

// Release implements wsk.Lender.
func (c *Copied) Release(d *wsk.Datagram) {
	if !c.Lent.CompareAndSwap(true, false) {
		panic("receive: a datagram was released twice")
	}
	*d = wsk.Datagram{}
	c.spare = d
	c.home.Put(c)
}

// Keep implements wsk.Lender: nothing runs dry for these.
func (c *Copied) Keep(*wsk.Datagram) {}
