// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"fmt"
	"sync/atomic"
)

// Words are the three shared words of a ring. Each has one writer: Producer belongs to the side that adds entries,
// Consumer to the side that takes them, Flags to the kernel.
type Words struct {
	Producer *atomic.Uint32
	Consumer *atomic.Uint32
	Flags    *atomic.Uint32
}

// maxRingSize bounds a ring: 16 MiB of descriptors. No driver has rings of this size.
const maxRingSize = 1 << 20

// needWakeupFlag is XDP_RING_NEED_WAKEUP of linux/if_xdp.h.
const needWakeupFlag = 1

// cacheLine separates what several goroutines read from what one of them writes all the time.
const cacheLine = 64

// producer is the arithmetic of a ring that this side fills. All cursors are free-running (I2): only differences
// mean anything, and they are never compared with <.
type producer struct {
	words Words
	mask  uint32
	limit uint32 // entries that may be in the ring at once, at most mask+1

	_    [cacheLine]byte
	next uint32 // first slot that is not reserved
	tail uint32 // first slot that is not published; the value of words.Producer
	seen uint32 // the consumer as last read; old means fuller than it is, which is safe
	// floor is a cursor that the consumer is known to have reached, whatever its word says, with floorSet; 0 is none.
	// The goroutine that reserves writes it, any may read it.
	floor atomic.Uint64
	_     [cacheLine]byte
}

const (
	floorSet = 1 << 32
	// floorAge is how far behind the word a floor is dropped, before it would seem to be ahead of it.
	floorAge = 1 << 30
)

// init takes over the cursors as they stand in w. limit is at most size, a power of two.
func (p *producer) init(w Words, size, limit int) {
	checkRing(w, size)
	p.words, p.mask, p.limit = w, uint32(size-1), uint32(limit)
	p.tail = w.Producer.Load()
	p.next = p.tail
	p.seen = w.Consumer.Load()
}

// free is the room that the last known consumer leaves. A consumer word that lies, because it is ahead of what is
// published or has gone backwards, reads as a full ring, see refresh: nothing is ever overwritten on its word.
func (p *producer) free() uint32 {
	used := p.next - p.seen
	if used >= p.limit {
		return 0
	}
	return p.limit - used
}

func (p *producer) refresh() uint32 {
	p.seen = p.consumer()
	if floor := p.floor.Load(); floor != 0 && p.seen-uint32(floor) > floorAge {
		p.floor.Store(0)
	}
	if p.tail-p.seen > p.limit {
		p.seen = p.next - p.limit // ahead of what is published, or gone backwards: full until it is right again
	}
	return p.free()
}

// consumer is the cursor in the word of the other side, or the floor where that is ahead.
func (p *producer) consumer() uint32 {
	word, floor := p.words.Consumer.Load(), p.floor.Load()
	if floor != 0 && int32(uint32(floor)-word) > 0 {
		return uint32(floor)
	}
	return word
}

// raise sets the floor to a cursor that lies between the consumer and what is published, and ignores any other.
func (p *producer) raise(floor uint32) {
	if ahead := floor - p.consumer(); ahead-1 < p.limit && p.tail-floor < p.limit {
		p.floor.Store(floorSet | uint64(floor))
	}
}

func (p *producer) reserve(n uint32) (first, granted uint32) {
	free := p.free()
	if free < n {
		free = p.refresh()
	}
	first, granted = p.next, min(n, free)
	p.next += granted
	return first, granted
}

// submit publishes entries. They were written before, and the atomic store keeps it in that order (I3).
func (p *producer) submit(n uint32) {
	if n > p.next-p.tail {
		panic(fmt.Sprintf("xdp: submit of %d ring entries, %d reserved", n, p.next-p.tail))
	}
	if n == 0 {
		return
	}
	p.tail += n
	p.words.Producer.Store(p.tail)
}

func (p *producer) cancel(n uint32) {
	if n > p.next-p.tail {
		panic(fmt.Sprintf("xdp: cancel of %d ring entries, %d reserved", n, p.next-p.tail))
	}
	p.next -= n
}

// pending reads the consumer first: a producer that moves in between makes the answer too large, never negative.
func (p *producer) pending() uint32 {
	consumer := p.consumer()
	return p.words.Producer.Load() - consumer
}

func (p *producer) needWakeup() bool { return p.words.Flags.Load()&needWakeupFlag != 0 }

// consumer is the arithmetic of a ring that the kernel fills.
type consumer struct {
	words Words
	mask  uint32
	size  uint32

	_    [cacheLine]byte
	next uint32 // first entry not released; the value of words.Consumer
	seen uint32 // the producer as last read; old means emptier than it is, which is safe
	_    [cacheLine]byte
}

func newConsumer(w Words, size int) consumer {
	checkRing(w, size)
	next := w.Consumer.Load()
	return consumer{words: w, mask: uint32(size - 1), size: uint32(size), next: next, seen: next}
}

// peek reads the producer before any entry is read, and the atomic load keeps it in that order (I3). A producer word
// that claims more entries than the ring has reads as an empty ring.
func (c *consumer) peek(limit uint32) (first, n uint32) {
	n = c.seen - c.next
	if n < limit {
		seen := c.words.Producer.Load()
		if seen-c.next <= c.size {
			c.seen = seen
			n = seen - c.next
		}
	}
	return c.next, min(n, limit)
}

// release hands entries back. They were read before, and the atomic store keeps it in that order (I3).
func (c *consumer) release(n uint32) {
	if n > c.seen-c.next {
		panic(fmt.Sprintf("xdp: release of %d ring entries, %d peeked", n, c.seen-c.next))
	}
	if n == 0 {
		return
	}
	c.next += n
	c.words.Consumer.Store(c.next)
}

func (c *consumer) needWakeup() bool { return c.words.Flags.Load()&needWakeupFlag != 0 }

func checkRing(w Words, size int) {
	if size <= 0 || size&(size-1) != 0 || uint64(size) > maxRingSize {
		panic(fmt.Sprintf("xdp: ring of %d entries: want a power of two up to %d", size, maxRingSize))
	}
	if w.Producer == nil || w.Consumer == nil || w.Flags == nil {
		panic("xdp: ring without its three words")
	}
}

// deadWords replace the shared words of a closed socket: a ring used too late is full or empty instead of a
// fault on unmapped memory.
func deadWords() Words {
	return Words{Producer: new(atomic.Uint32), Consumer: new(atomic.Uint32), Flags: new(atomic.Uint32)}
}

func (p *producer) kill() {
	p.words, p.mask, p.limit, p.next, p.tail, p.seen = deadWords(), 0, 0, 0, 0, 0
	p.floor.Store(0)
}

func (c *consumer) kill() { *c = consumer{words: deadWords()} }
