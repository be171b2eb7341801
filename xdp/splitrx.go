// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"golang.org/x/sys/unix"
)

// setUpRX makes the socket of a split RX ring: bound to the same queue, it shares UMEM, fill and completion ring with
// the first (XDP_SHARED_UMEM, which takes no other flag: the mode is the first one's).
func (s *Socket) setUpRX(o Options) *OpError {
	fd, err := s.k.socket()
	if err != nil {
		return s.opError(opSocket, err)
	}
	s.rxFD = fd
	if err := s.k.setInt(fd, unix.SOL_XDP, unix.XDP_RX_RING, int(o.RxRing)); err != nil {
		return s.opError(opRxRing, err)
	}
	off, err := s.k.offsets(fd)
	if err != nil {
		return s.opError(opOffsets, err)
	}
	if e := s.mapRxRing(fd, off, o); e != nil {
		return e
	}
	sa := &unix.SockaddrXDP{Flags: unix.XDP_SHARED_UMEM, Ifindex: uint32(s.granted.IfIndex), QueueID: o.Queue,
		SharedUmemFD: uint32(s.fd)}
	if err := s.k.bind(fd, sa); err != nil {
		return s.opError(opBind, err)
	}
	return nil
}

// splitStatistics are the receiving counters of the split RX socket with the sending ones of the first.
func (s *Socket) splitStatistics(st Statistics) (Statistics, error) {
	if s.rxFD < 0 {
		return st, nil
	}
	raw, size, err := s.k.statistics(s.rxFD)
	if err != nil {
		return Statistics{}, s.opError(opStatistics, err)
	}
	rx := statisticsOf(raw, size)
	st.RxDropped, st.RxInvalidDescs, st.RxRingFull, st.RxFillRingEmpty = rx.RxDropped, rx.RxInvalidDescs, rx.RxRingFull,
		rx.RxFillRingEmpty
	return st, nil
}
