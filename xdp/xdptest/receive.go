// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdptest

import "github.com/wsk-xdp/wsk-xdp/xdp"

// xdpHeadroom is XDP_PACKET_HEADROOM: what the kernel leaves free in front of a received frame, besides the UMEM's own.
const xdpHeadroom = 256

// Receive delivers a frame as the NIC does: into the oldest chunk of the fill ring, behind the kernel's headroom. It
// reports false, and counts the drop, when the fill ring is empty, the RX ring is full, or the frame does not fit.
func (k *Kernel) Receive(frame []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.rx == nil || k.closed {
		return false
	}
	p := k.rxWords.Producer.Load()
	if p-k.rxWords.Consumer.Load() >= uint32(len(k.rxDescs)) {
		k.stats.RxRingFull++
		return false
	}
	c := k.fqWords.Consumer.Load()
	if k.fqWords.Producer.Load() == c {
		k.stats.RxFillRingEmpty++
		return false
	}
	addr := k.fqAddrs[c%uint32(len(k.fqAddrs))]
	k.fqWords.Consumer.Store(c + 1)
	return k.deliver(p, addr, frame)
}

// deliver puts a frame into the chunk that addr lies in and its descriptor into slot p of the RX ring.
func (k *Kernel) deliver(p uint32, addr uint64, frame []byte) bool {
	chunk := uint64(k.umem.ChunkSize())
	d := xdp.Desc{Addr: addr&^(chunk-1) + xdpHeadroom + uint64(k.umem.Headroom()), Len: uint32(len(frame))}
	into := k.umem.Frame(d)
	if into == nil {
		k.stats.RxInvalidDescs++
		return false
	}
	copy(into, frame)
	k.rxDescs[p%uint32(len(k.rxDescs))] = d
	k.rxWords.Producer.Store(p + 1)
	return true
}
