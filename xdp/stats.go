// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Statistics are struct xdp_statistics of linux/if_xdp.h: what the kernel counted for one socket since it was made.
type Statistics struct {
	RxDropped       uint64 // frames dropped for other reasons than an invalid descriptor
	RxInvalidDescs  uint64 // invalid addresses in the fill ring
	TxInvalidDescs  uint64 // invalid descriptors in the TX ring: our bug
	RxRingFull      uint64 // frames dropped because the RX ring was full (Linux 5.9)
	RxFillRingEmpty uint64 // failures to take a chunk from the fill ring (Linux 5.9)
	TxRingEmpty     uint64 // failures to take a descriptor from the TX ring: the end of each burst (Linux 5.9)
	// Version is 1 on kernels before 5.9, where the last three fields are not counted, else 2.
	Version int
}

// Statistics reads the kernel's counters. The error is ErrClosed after Close.
func (s *Socket) Statistics() (Statistics, error) {
	if !s.calls.Begin() {
		return Statistics{}, s.opError(opStatistics, ErrClosed)
	}
	defer s.calls.End()
	st, size, err := s.k.statistics(s.fd)
	if err != nil {
		return Statistics{}, s.opError(opStatistics, err)
	}
	return s.splitStatistics(statisticsOf(st, size))
}

// statisticsV1 is the size of the struct before Linux 5.9: its first three fields.
const statisticsV1 = 24

func statisticsOf(st unix.XDPStatistics, size int) Statistics {
	out := Statistics{
		RxDropped:       st.Rx_dropped,
		RxInvalidDescs:  st.Rx_invalid_descs,
		TxInvalidDescs:  st.Tx_invalid_descs,
		RxRingFull:      st.Rx_ring_full,
		RxFillRingEmpty: st.Rx_fill_ring_empty_descs,
		TxRingEmpty:     st.Tx_ring_empty_descs,
		Version:         2,
	}
	if size <= statisticsV1 {
		out.Version = 1
	}
	return out
}

// Counters are what this side counted.
type Counters struct {
	Kicks      uint64 // Kick system calls made
	KicksSaved uint64 // KickIfNeeded that needed none
	RxWakeups  uint64 // WakeRX system calls made
	// ByResult are the kicks by what they returned, indexed by KickResult.
	ByResult [kickResults]uint64
}

type counters struct {
	kicksSaved atomic.Uint64
	rxWakeups  atomic.Uint64
	byResult   [kickResults]atomic.Uint64
}

func (s *Socket) kicked(errno syscall.Errno) {
	result := KickDone
	switch {
	case errno == 0:
	case s.granted.Mode == ModeZeroCopy:
		result = ClassifyZeroCopyKick(errno)
	default:
		result = ClassifyKick(errno)
	}
	s.counters.byResult[result].Add(1)
}

// Counters reads this side's counters; each is exact, together they are no snapshot.
func (s *Socket) Counters() Counters {
	c := Counters{KicksSaved: s.counters.kicksSaved.Load(), RxWakeups: s.counters.rxWakeups.Load()}
	for i := range c.ByResult {
		c.ByResult[i] = s.counters.byResult[i].Load()
		c.Kicks += c.ByResult[i]
	}
	return c
}
