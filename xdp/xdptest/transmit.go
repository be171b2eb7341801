// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdptest

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp"
)

const needWakeupFlag = 1

// Kick transmits as the copy mode of net/xdp/xsk.c does, in the same order of checks, with the fates that were planned.
func (k *Kernel) Kick() syscall.Errno {
	k.mu.Lock()
	var errno syscall.Errno
	if k.zc {
		errno = k.wakeUp()
	} else {
		errno = k.transmit()
	}
	k.mu.Unlock()
	k.kicks.Add(1)
	k.byResult[k.classify(errno)].Add(1)
	return errno
}

// classify says what an errno means in the mode of the fake.
func (k *Kernel) classify(errno syscall.Errno) xdp.KickResult {
	if k.zc {
		return xdp.ClassifyZeroCopyKick(errno)
	}
	return xdp.ClassifyKick(errno)
}

// wakeUp is what a driver answers in zero-copy mode.
func (k *Kernel) wakeUp() syscall.Errno {
	if errno := k.absent(); errno != 0 {
		return errno
	}
	if errno, ok := k.ordered(); ok {
		return errno
	}
	k.woken++
	return 0
}

// absent is what a kick is answered where there is nothing to transmit with.
func (k *Kernel) absent() syscall.Errno {
	switch {
	case k.closed:
		return unix.EBADF
	case k.removed:
		return unix.ENXIO
	case k.noUp:
		return unix.ENETDOWN
	}
	return 0
}

// ordered is the next errno that a test has asked for.
func (k *Kernel) ordered() (errno syscall.Errno, ok bool) {
	if len(k.errnos) == 0 {
		return 0, false
	}
	errno, k.errnos = k.errnos[0], k.errnos[1:]
	return errno, true
}

// Woken is how often a zero-copy driver was woken to some purpose.
func (k *Kernel) Woken() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.woken
}

// KickIfNeeded kicks unless the fake was told to stay awake.
func (k *Kernel) KickIfNeeded() (errno syscall.Errno, kicked bool) {
	if k.Closed() {
		return unix.EBADF, false
	}
	if k.txWords.Flags.Load()&needWakeupFlag == 0 {
		k.saved.Add(1)
		return 0, false
	}
	return k.Kick(), true
}

// Poll transmits like a driver that is awake: without a Kick, and without counting one.
func (k *Kernel) Poll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.zc && (k.noUp || k.noLink || k.removed || k.closed) {
		return // NAPI is off, or the driver looks at the carrier first
	}
	k.transmit()
}

func (k *Kernel) transmit() syscall.Errno {
	if errno := k.absent(); errno != 0 {
		return errno
	}
	if !k.zc {
		if errno, ok := k.ordered(); ok {
			return errno
		}
	}
	for n := 0; ; n++ {
		if !k.peek() {
			return 0
		}
		if n == k.budget {
			return unix.EAGAIN
		}
		if !k.completionRoom() || k.maxHeld > 0 && len(k.held) >= k.maxHeld {
			return unix.EAGAIN
		}
		d := k.txDescs[k.next%uint32(len(k.txDescs))]
		if k.continues(d) {
			k.partial = append(k.partial, d)
			k.consume()
			continue
		}
		if errno, stop := k.one(d, k.fateOf(d)); stop {
			return errno
		}
	}
}

// peek reports whether there is a descriptor to consume.
func (k *Kernel) peek() bool {
	if k.next == k.known || !k.lazy {
		k.txWords.Consumer.Store(k.next)
		k.known = k.txWords.Producer.Load()
	}
	return k.next != k.known
}

// continues reports whether a descriptor is a valid one of a frame that goes on.
func (k *Kernel) continues(d xdp.Desc) bool {
	return d.Options == xdp.DescContinued && d.Len != 0 && k.umem.Frame(d) != nil && len(k.partial)+1 < k.granted.FrameChunks
}

// consume takes the descriptor at the consumer.
func (k *Kernel) consume() {
	k.next++
	if !k.lazy {
		k.txWords.Consumer.Store(k.next)
	}
}

// fateOf takes the planned fate of the next descriptor off the script. A descriptor that the real kernel would
// refuse is invalid whatever was planned.
func (k *Kernel) fateOf(d xdp.Desc) Fate {
	if d.Len == 0 || d.Options&^xdp.DescTxMetadata != 0 || k.umem.Frame(d) == nil {
		return Invalid
	}
	if d.Options&xdp.DescTxMetadata != 0 && !k.metadataValid(d) {
		return Wedge
	}
	fate := Send
	if len(k.script) > 0 {
		if f, ok := k.script[k.seq]; ok {
			fate = f
			if f != Wedge && f != Refuse {
				delete(k.script, k.seq)
			}
		}
	}
	if fate == Send && k.noLink {
		return Drop
	}
	if fate == Send && k.holding {
		return Hold
	}
	return fate
}

// one carries out the fate of the descriptor at the consumer. stop ends the Kick with errno.
func (k *Kernel) one(d xdp.Desc, fate Fate) (errno syscall.Errno, stop bool) {
	switch fate {
	case Stall:
		return unix.EAGAIN, true
	case Wedge:
		k.completeExtra(d.Addr)
		return unix.EINVAL, true
	case Refuse:
		return unix.EINVAL, true
	}
	if k.onSend != nil && fate != Drop && fate != Invalid {
		k.onSend(k.assembled(d))
	}
	k.seq++
	k.consume()
	for _, part := range k.partial {
		switch fate {
		case Lose:
		case Hold:
			k.held = append(k.held, part.Addr)
		default:
			k.complete(part.Addr)
		}
	}
	k.partial = k.partial[:0]
	switch fate {
	case Drop:
		k.complete(d.Addr)
		return unix.EBUSY, true
	case Invalid:
		k.stats.TxInvalidDescs++
		k.complete(d.Addr)
		return 0, true
	case Lose:
	case Twice:
		k.complete(d.Addr)
		k.completeExtra(d.Addr)
	case Hold:
		k.held = append(k.held, d.Addr)
	default:
		k.complete(d.Addr)
	}
	return 0, false
}

// assembled is a frame that ends with a descriptor.
func (k *Kernel) assembled(d xdp.Desc) []byte {
	if len(k.partial) == 0 {
		return k.completed(d)
	}
	var frame []byte
	for _, part := range k.partial {
		frame = append(frame, k.umem.Frame(part)...)
	}
	return append(frame, k.umem.Frame(d)...)
}

// completionRoom reports whether a completion can be promised: each held frame has a slot reserved, as in the kernel.
func (k *Kernel) completionRoom() bool {
	used := int(k.cqWords.Producer.Load() - k.cqWords.Consumer.Load())
	return used+len(k.held)+len(k.partial) < len(k.cqAddrs)
}

// complete posts an address that was promised room.
func (k *Kernel) complete(addr uint64) {
	p := k.cqWords.Producer.Load()
	k.cqAddrs[p%uint32(len(k.cqAddrs))] = addr
	k.cqWords.Producer.Store(p + 1)
}

// completeExtra posts an address that nobody promised, if that leaves room for those that were.
func (k *Kernel) completeExtra(addr uint64) bool {
	if !k.completionRoom() {
		return false
	}
	k.complete(addr)
	return true
}
