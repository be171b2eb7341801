// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

const (
	hugePage = 2 << 20
	// memlockTimeout limits the wait for locked memory. The kernel gives it back from a work queue, after up to 31 ms on
	// an idle machine and more than half a second on a busy one; a limit that other sockets have used up for good should
	// still be reported soon.
	memlockTimeout = 2 * time.Second
)

// setUpUMEM maps the memory and registers it. The whole of it is populated: a page fault on the send path would
// cost more than the send.
func (s *Socket) setUpUMEM(ctx context.Context, o Options) *OpError {
	size := o.umemLen()
	if size > math.MaxInt-hugePage {
		return s.opError(opMapUMEM, unix.ENOMEM)
	}
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_POPULATE
	if o.HugePages {
		rounded := (int(size) + hugePage - 1) &^ (hugePage - 1)
		if m, err := s.k.mmap(-1, 0, rounded, flags|unix.MAP_HUGETLB); err == nil {
			s.umemMap, s.granted.HugePages = m, true
		}
	}
	if s.umemMap == nil {
		m, err := s.k.mmap(-1, 0, int(size), flags)
		if err != nil {
			return s.opError(opMapUMEM, err)
		}
		s.umemMap = m
	}
	reg := unix.XDPUmemReg{Addr: addressOf(s.umemMap), Len: size, Size: o.ChunkSize, Headroom: o.Headroom}
	if err := s.registerOffload(ctx, o, reg); err != nil {
		return s.opError(opRegister, err)
	}
	headroom := o.Headroom
	if s.granted.Offload != OffloadNone {
		headroom += TxMetadataLen // in front of what is sent only: the kernel is told nothing of it
	}
	umem, err := NewUMEM(s.umemMap, o.ChunkSize, o.TxChunks, o.RxChunks, headroom)
	if err != nil {
		return s.opError(opMapUMEM, err)
	}
	s.umem = umem
	return nil
}

// registerOffload registers with TX metadata where that was asked for and can be had, else without.
func (s *Socket) registerOffload(ctx context.Context, o Options, reg unix.XDPUmemReg) error {
	offload, refused := s.offload(o)
	if offload != OffloadNone {
		err := s.register(ctx, o, withMetadata(reg, offload))
		if refused = metadataRefused(err); refused == nil {
			s.granted.Offload = offload
			return err
		}
	}
	s.granted.OffloadRefused = refused
	return s.register(ctx, o, reg)
}

// offload is what a socket of this mode asks the kernel for, and why it is not more.
func (s *Socket) offload(o Options) (Offload, error) {
	switch {
	case o.Offload == OffloadNone:
		return OffloadNone, nil
	case o.Mode == ModeCopy && o.Offload == OffloadDriver:
		return OffloadNone, &FeatureError{Name: "checksum offload", Detail: "copy mode, where it was not asked for"}
	case o.Mode == ModeCopy:
		return o.Offload, nil
	}
	d, err := s.k.device(s.granted.IfIndex)
	if err != nil {
		return OffloadNone, fmt.Errorf("ask for the features of the driver: %w", err)
	}
	if !d.XSK.TxChecksum() {
		return OffloadNone, &FeatureError{Name: "checksum offload", Detail: "the driver reports xsk-features: " + d.XSK.String()}
	}
	return OffloadDriver, nil
}

// register repeats while the locked memory is used up, unless it could never be enough. The kernel gives back what a
// closed socket had locked only some milliseconds later. Without CAP_IPC_LOCK a socket opened right after it, as
// ModeAuto does, would find its own predecessor in the way.
func (s *Socket) register(ctx context.Context, o Options, reg unix.XDPUmemReg) error {
	limit := min(o.BindTimeout, memlockTimeout)
	if s.granted.FallbackReason != nil {
		limit = memlockTimeout // the wait for the queue is over, but the socket that waited was closed only now
	}
	var allowed unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &allowed) == nil && reg.Len > allowed.Cur {
		limit = -1
	}
	_, err := repeatWhile(ctx, unix.ENOBUFS, limit, func() error { return s.k.register(s.fd, reg) })
	return err
}

// createRings sets the sizes. Fill and completion ring belong to the UMEM and are needed even by a socket that only
// sends.
func (s *Socket) createRings(o Options) *OpError {
	rings := []struct {
		op   string
		opt  int
		size uint32
	}{
		{opFillRing, unix.XDP_UMEM_FILL_RING, o.FillRing},
		{opCompletion, unix.XDP_UMEM_COMPLETION_RING, o.CompletionRing},
		{opTxRing, unix.XDP_TX_RING, o.TxRing},
		{opRxRing, unix.XDP_RX_RING, o.RxRing},
	}
	for _, r := range rings {
		if r.size == 0 || r.opt == unix.XDP_RX_RING && o.SplitRX {
			continue
		}
		if err := s.k.setInt(s.fd, unix.SOL_XDP, r.opt, int(r.size)); err != nil {
			return s.opError(r.op, err)
		}
	}
	return nil
}

// mapRings maps the rings and lays the ring types over them.
func (s *Socket) mapRings(o Options) *OpError {
	off, err := s.k.offsets(s.fd)
	if err != nil {
		return s.opError(opOffsets, err)
	}
	m, err := s.mapRing(s.fd, unix.XDP_UMEM_PGOFF_FILL_RING, ringLen(off.Fr, o.FillRing, sizeofAddr))
	if err != nil {
		return s.opError(opMapFill, err)
	}
	w, addrs, err := mappedRing[uint64](m, off.Fr, o.FillRing)
	if err != nil {
		return s.opError(opMapFill, err)
	}
	s.fill = NewFillRing(w, addrs)

	m, err = s.mapRing(s.fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, ringLen(off.Cr, o.CompletionRing, sizeofAddr))
	if err != nil {
		return s.opError(opMapComp, err)
	}
	w, addrs, err = mappedRing[uint64](m, off.Cr, o.CompletionRing)
	if err != nil {
		return s.opError(opMapComp, err)
	}
	s.completion = NewCompletionRing(w, addrs)

	m, err = s.mapRing(s.fd, unix.XDP_PGOFF_TX_RING, ringLen(off.Tx, o.TxRing, sizeofDesc))
	if err != nil {
		return s.opError(opMapTx, err)
	}
	w, descs, err := mappedRing[Desc](m, off.Tx, o.TxRing)
	if err != nil {
		return s.opError(opMapTx, err)
	}
	s.tx = NewTxRing(w, descs)

	if o.RxRing == 0 || o.SplitRX {
		return nil
	}
	return s.mapRxRing(s.fd, off, o)
}

func (s *Socket) mapRxRing(fd int, off unix.XDPMmapOffsets, o Options) *OpError {
	m, err := s.mapRing(fd, unix.XDP_PGOFF_RX_RING, ringLen(off.Rx, o.RxRing, sizeofDesc))
	if err != nil {
		return s.opError(opMapRx, err)
	}
	w, descs, err := mappedRing[Desc](m, off.Rx, o.RxRing)
	if err != nil {
		return s.opError(opMapRx, err)
	}
	s.rx = NewRxRing(w, descs)
	return nil
}

var errRingTooLarge = errors.New("ring mapping larger than the address space")

func (s *Socket) mapRing(fd int, pgoff int64, size uint64) ([]byte, error) {
	if size > math.MaxInt {
		return nil, errRingTooLarge
	}
	m, err := s.k.mmap(fd, pgoff, int(size), unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, err
	}
	s.ringMaps = append(s.ringMaps, m)
	return m, nil
}

// populateFill hands every RX chunk to the kernel. validate made the ring large enough.
func (s *Socket) populateFill() {
	n := uint32(s.umem.RxChunks())
	first, granted := s.fill.Reserve(n)
	for i := range granted {
		s.fill.Set(first+i, s.umem.Addr(s.umem.TxChunks()+int(i)))
	}
	s.fill.Submit(granted)
}
