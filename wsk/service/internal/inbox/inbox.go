// SPDX-License-Identifier: Apache-2.0

// Package inbox is what has arrived for a socket of a client: datagrams become RECV messages, which go out as the
// client gives credit and reads, and wait up to a bound until then.
package inbox

import (
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/quota"
)

// A Conn is the connection to the client.
type Conn interface {
	// Send sends a message and does not wait. An error leaves the message unsent.
	Send(msg []byte) error
	// HasRoom says that a message of n bytes can be sent and leaves room for others.
	HasRoom(n int) bool
	// AwaitRoom waits until the client has read most of what was sent, or the connection ends.
	AwaitRoom() error
}

// Inbox is for any goroutine. Its fields are set before the first use.
type Inbox struct {
	Socket  uint32
	Largest int // message
	Conn    Conn
	Quota   *quota.Share
	// Accepts says whether the client may have a datagram.
	Accepts func(d *wsk.Datagram) bool
	// Go runs a function on a goroutine of its own.
	Go func(func())

	mu      sync.Mutex // held over sending, so that messages leave in order
	credit  int
	limit   int // bytes to keep
	ended   bool
	waiting bool // for room, by a goroutine

	taken, takenBytes uint64 // and not counted yet

	scratch []byte // of a message that goes out at once
	now     ipc.RecvWriter

	held  []chunk // messages that wait, the oldest first
	bytes int     // of their memory
	spare []byte  // memory of one that was sent, of chunkSize
	last  ipc.RecvWriter
}

// chunk is memory of a message that waits.
type chunk struct {
	memory []byte
	length int // of the message, once it is not the last any more
}

const (
	defaultLimit = 256 << 10
	// maxLimit is the most that a client can have kept for a socket, whatever its grant has room for.
	maxLimit = 16 << 20
	// chunkSize is the memory of a message that waits, unless one datagram needs more.
	chunkSize = 16 << 10
	overhead  = ipc.HeaderSize + 8
)

// SetLimit bounds what is kept while the client gives no credit; 0 is a default.
func (b *Inbox) SetLimit(bytes uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limit = int(min(bytes, maxLimit))
	if b.limit == 0 {
		b.limit = defaultLimit
	}
}

// AddCredit lets n messages more go out. It reports false when that is more than a client may be owed.
func (b *Inbox) AddCredit(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.credit+n > ipc.MaxCredit {
		return false
	}
	b.credit += n
	b.drain()
	return true
}

// Receive takes over a list of datagrams, as [wsk.Receiver] says.
func (b *Inbox) Receive(list *wsk.Datagram) {
	var full, refused, poor uint64
	b.mu.Lock()
	direct := false
	for d := list; d != nil; {
		next := d.Next
		switch {
		case b.ended:
		case d.Err == nil && !b.Accepts(d):
			refused++
		default:
			switch b.take(d, &direct) {
			case kept:
				b.taken++
				b.takenBytes += uint64(len(d.Payload))
			case noRoom:
				full++
			case noMemory:
				poor++
			}
		}
		d.Release()
		d = next
	}
	if direct {
		b.flush()
	}
	b.count()
	if b.credit > 0 && len(b.held) > 0 {
		b.awaitRoom() // there was none
	}
	b.mu.Unlock()
	if full|refused|poor != 0 {
		c := &b.Quota.Grant().Counters
		c.DroppedFull.Add(full)
		c.DroppedPolicy.Add(refused)
		c.DroppedMemory.Add(poor)
	}
}

// count takes what was taken into the account. mu is held.
func (b *Inbox) count() {
	c := &b.Quota.Grant().Counters
	c.Received.Add(b.taken)
	c.ReceivedBytes.Add(b.takenBytes)
	b.taken, b.takenBytes = 0, 0
}

type outcome uint8

const (
	kept outcome = iota
	noRoom
	noMemory
)

// take copies a datagram into the message that goes out at the end of the list (direct), or into the last that waits.
// mu is held.
func (b *Inbox) take(d *wsk.Datagram, direct *bool) outcome {
	r := record(d)
	if *direct {
		if b.put(&b.now, &r, d) {
			return kept
		}
		b.flush()
		*direct = false
	}
	if len(b.held) == 0 && b.credit > 0 && b.Conn.HasRoom(b.Largest) && b.hasScratch() {
		b.now.Begin(b.scratch, b.Socket)
		*direct = true
		b.put(&b.now, &r, d)
		return kept
	}
	return b.hold(&r, d)
}

// hasScratch reports whether there is memory for a message that goes out at once, or was room for it. mu is held.
func (b *Inbox) hasScratch() bool {
	if b.scratch == nil && b.Quota.TakeMemory(b.Largest) {
		b.scratch = make([]byte, b.Largest)
	}
	return b.scratch != nil
}

func (b *Inbox) put(w *ipc.RecvWriter, r *ipc.Record, d *wsk.Datagram) bool {
	room, ok := w.Add(r)
	if ok {
		copy(room, d.Payload)
	}
	return ok
}

// hold copies a datagram into memory of its own. mu is held.
func (b *Inbox) hold(r *ipc.Record, d *wsk.Datagram) outcome {
	if n := len(b.held); n > 0 && b.put(&b.last, r, d) {
		return kept
	}
	size := max(chunkSize, overhead+64+(len(d.Payload)+63)&^63)
	if b.limit == 0 {
		b.limit = defaultLimit
	}
	if b.bytes+size > b.limit && (b.bytes != 0 || size > chunkSize+maxDatagram) {
		return noRoom
	}
	c := chunk{memory: b.spare}
	switch {
	case size == len(b.spare):
		b.spare = nil
	case b.Quota.TakeMemory(size):
		c.memory = make([]byte, size)
	default:
		return noMemory
	}
	b.seal()
	b.bytes += size
	b.held = append(b.held, c)
	b.last.Begin(c.memory, b.Socket)
	b.put(&b.last, r, d)
	return kept
}

const maxDatagram = 65536

// seal notes the length of the last message that waits: another comes behind it, or it is sent. mu is held.
func (b *Inbox) seal() {
	if n := len(b.held); n > 0 && b.held[n-1].length == 0 {
		b.held[n-1].length = len(b.last.Message())
	}
}

// flush sends the message that was built, or keeps it when the client's socket has filled meanwhile. mu is held.
func (b *Inbox) flush() {
	b.count() // before the client knows
	msg := b.now.Message()
	if b.Conn.Send(msg) == nil {
		b.credit--
		return
	}
	// Rare: somebody else has taken the room. What can't be kept is lost, as if it had found the buffer full.
	if b.Quota.TakeMemory(len(msg)) {
		b.bytes += len(msg)
		b.held = append(b.held, chunk{append([]byte(nil), msg...), len(msg)})
		b.last = ipc.RecvWriter{}
		b.awaitRoom()
		return
	}
	b.Quota.Grant().Counters.DroppedMemory.Add(uint64(b.now.Count()))
}

// drain sends what waits, as far as credit and room go. mu is held.
func (b *Inbox) drain() {
	sent := 0
	for b.credit > 0 && sent < len(b.held) && !b.ended {
		c := &b.held[sent]
		if sent == len(b.held)-1 {
			b.seal()
		}
		if !b.Conn.HasRoom(c.length) || b.Conn.Send(c.memory[:c.length]) != nil {
			b.awaitRoom()
			break
		}
		b.credit--
		b.give(c)
		sent++
	}
	b.held = append(b.held[:0], b.held[sent:]...)
	if n := len(b.held); n > 0 && b.held[n-1].length != 0 {
		b.last = ipc.RecvWriter{} // it is complete: what comes goes behind it
	}
}

// give is the end of a message that waited. Its memory is kept, and counted, for another one. mu is held.
func (b *Inbox) give(c *chunk) {
	b.bytes -= len(c.memory)
	if len(c.memory) == chunkSize && b.spare == nil {
		b.spare = c.memory
	} else {
		b.Quota.GiveMemory(len(c.memory))
	}
	c.memory = nil
}

// awaitRoom has the rest sent when the client has read. mu is held.
func (b *Inbox) awaitRoom() {
	if b.waiting || b.ended {
		return
	}
	b.waiting = true
	b.Go(func() {
		err := b.Conn.AwaitRoom()
		b.mu.Lock()
		b.waiting = false
		if err == nil {
			b.drain()
		}
		b.mu.Unlock()
	})
}

// Close forgets what waits and takes nothing any more.
func (b *Inbox) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	for i := range b.held {
		b.give(&b.held[i])
	}
	b.Quota.GiveMemory(len(b.scratch) + len(b.spare))
	b.held, b.scratch, b.spare = nil, nil, nil
}
