// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdptest

import (
	"math/rand/v2"
	"slices"
	"syscall"
)

// Plan sets the fate of the seq-th descriptor that will be consumed, counted from 0 over the life of the fake. A
// plan is used up by the descriptor it meets; Stall so delays it by one Kick. Wedge and Refuse stay for ever.
func (k *Kernel) Plan(seq uint64, f Fate) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.script[seq] = f
}

// Consumed is the number of descriptors consumed so far: the seq of the next one.
func (k *Kernel) Consumed() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seq
}

// FailKicks makes the next Kicks return these errnos, one each, and do nothing else.
func (k *Kernel) FailKicks(errnos ...syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errnos = append(k.errnos, errnos...)
}

// SetUp sets the administrative state: while down every Kick returns ENETDOWN and leaves the ring alone.
func (k *Kernel) SetUp(up bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noUp = !up
}

// SetCarrier sets the peer's state: without carrier each frame is dropped, with EBUSY and a completion.
func (k *Kernel) SetCarrier(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.noLink = !on
}

// Remove deletes the device: every Kick returns ENXIO from now on. Held frames can still be completed.
func (k *Kernel) Remove() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removed = true
}

// SetNeedWakeup sets the flag that the kernel shows in the TX and fill rings.
func (k *Kernel) SetNeedWakeup(on bool) {
	flag := uint32(0)
	if on {
		flag = needWakeupFlag
	}
	k.txWords.Flags.Store(flag)
	k.fqWords.Flags.Store(flag)
}

// HoldCompletions makes every frame transmitted from now on wait for CompleteHeld, like a receiver that does not free.
func (k *Kernel) HoldCompletions(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holding = on
}

// Held is the number of frames transmitted and not completed.
func (k *Kernel) Held() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.held)
}

// Order is the order in which held frames complete.
type Order uint8

// Orders.
const (
	InOrder Order = iota
	Reverse
	Random
)

// CompleteHeld completes up to n held frames, all of them for n < 0, in the given order, and returns how many. seed
// makes Random repeatable.
func (k *Kernel) CompleteHeld(n int, order Order, seed uint64) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n < 0 || n > len(k.held) {
		n = len(k.held)
	}
	switch order {
	case Reverse:
		slices.Reverse(k.held)
	case Random:
		r := rand.New(rand.NewPCG(seed, seed))
		r.Shuffle(len(k.held), func(i, j int) { k.held[i], k.held[j] = k.held[j], k.held[i] })
	}
	for _, addr := range k.held[:n] {
		k.complete(addr)
	}
	k.held = slices.Delete(k.held, 0, n)
	return n
}

// LoseHeld forgets up to n held frames, all of them for n < 0, as a NIC reset does: they never complete.
func (k *Kernel) LoseHeld(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n < 0 || n > len(k.held) {
		n = len(k.held)
	}
	k.held = slices.Delete(k.held, 0, n)
	return n
}

// PostCompletion posts any address at all: foreign, doubled, misaligned. It reports whether the ring had room.
func (k *Kernel) PostCompletion(addr uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.completeExtra(addr)
}
