// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Answer is a probe's result in one word.
type Answer uint8

// Answers.
const (
	AnswerUnknown Answer = iota
	AnswerYes
	AnswerNo
)

// String is "yes", "no" or "unknown".
func (a Answer) String() string {
	switch a {
	case AnswerYes:
		return "yes"
	case AnswerNo:
		return "no"
	}
	return "unknown"
}

// AnswerOf reads the error of a probe: nil is yes, ErrNotSupported is no, anything else means that the probe could
// not tell.
func AnswerOf(err error) Answer {
	switch {
	case err == nil:
		return AnswerYes
	case errors.Is(err, ErrNotSupported):
		return AnswerNo
	}
	return AnswerUnknown
}

// The probes try the thing itself, on a socket that they throw away. Each returns nil for yes, an error that wraps
// ErrNotSupported for no, and any other error, mostly for want of a capability, when it can't tell. Nothing is cached.

// ProbeAFXDP tries whether this kernel, and this process, can open an AF_XDP socket.
func ProbeAFXDP() error { return probeAFXDP(linux{}) }

// ProbeTxMetadata tries whether a UMEM can be registered with the flag XDP_UMEM_TX_METADATA_LEN, which checksum
// offload and timestamps need.
func ProbeTxMetadata() error { return probeTxMetadata(linux{}) }

// ProbeTxBudget tries whether the number of frames of one Kick can be raised (XDP_MAX_TX_SKB_BUDGET).
func ProbeTxBudget() error { return probeTxBudget(linux{}) }

// ProbeBusyPoll tries whether AF_XDP sockets know SO_PREFER_BUSY_POLL. Turning it on needs CAP_NET_ADMIN; the probe
// does not.
func ProbeBusyPoll() error { return probeBusyPoll(linux{}) }

// ProbeMultiBuffer tries a copy-mode bind with XDP_USE_SG on one queue, which must be free.
func ProbeMultiBuffer(ifname string, queue uint32) error {
	err := probeBind(linux{}, ifname, queue, ModeCopy, unix.XDP_USE_SG, nil)
	if errors.Is(err, unix.EINVAL) {
		return &FeatureError{Name: "multi-buffer frames (XDP_USE_SG)", MinKernel: "6.12"}
	}
	return err
}

// ProbeRemap tries whether the rings of a bound socket can be mapped once more, as a process must that takes a socket
// over from another. It binds to the queue, which must be free, in copy mode.
func ProbeRemap(ifname string, queue uint32) error { return probeRemap(linux{}, ifname, queue) }

func probeRemap(k kernel, ifname string, queue uint32) error {
	return probeBind(k, ifname, queue, ModeCopy, 0, func(fd int) error {
		for _, ring := range []int64{unix.XDP_PGOFF_TX_RING, unix.XDP_UMEM_PGOFF_COMPLETION_RING} {
			m, err := k.mmap(fd, ring, 1, unix.MAP_SHARED)
			if errors.Is(err, unix.EBUSY) {
				return &FeatureError{Name: "mapping the rings of a bound socket again", MinKernel: "6.12"}
			}
			if err != nil {
				return fmt.Errorf("map ring of bound socket: %w", err)
			}
			if err := k.munmap(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// ProbeZeroCopy tries a zero-copy bind on one queue, which must be free. It returns when the socket is closed, but the
// kernel frees the queue some milliseconds later: a bind right after it must be ready to wait. On a driver with
// zero-copy the link may go down for seconds. Many drivers refuse until an XDP program is attached, so that a
// "no" is about the interface as it is now.
func ProbeZeroCopy(ifname string, queue uint32) error {
	err := probeBind(linux{}, ifname, queue, ModeZeroCopy, 0, nil)
	const enotsupp = 524 // ENOTSUPP of the kernel's own errno.h, which some drivers let out
	switch {
	case isStep(err, opServe):
		return &FeatureError{Name: "zero-copy on " + ifname, Detail: "the driver grants the bind, but serves the queue only " +
			"with an XDP program attached in native mode"}
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.Errno(enotsupp)), errors.Is(err, unix.EINVAL):
		return &FeatureError{Name: "zero-copy on " + ifname, Detail: "the driver refuses the bind"}
	}
	return err
}

// isStep reports whether a step of opening a socket is what failed.
func isStep(err error, step string) bool {
	var op *OpError
	return errors.As(err, &op) && op.Op == step
}

func probeAFXDP(k kernel) error {
	return onScratch(k, func(int) error { return nil })
}

// onScratch runs f on a new AF_XDP socket and closes it.
func onScratch(k kernel, f func(fd int) error) error {
	fd, err := k.socket()
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return &FeatureError{Name: "AF_XDP sockets", MinKernel: "5.10", Detail: "the kernel needs CONFIG_XDP_SOCKETS"}
	}
	if err != nil {
		return newOpError(opSocket, "", 0, ModeAuto, err)
	}
	return errors.Join(f(fd), k.close(fd))
}

func probeTxMetadata(k kernel) error {
	return onScratch(k, func(fd int) (err error) {
		const size = 2 * defaultChunkSize
		m, err := k.mmap(-1, 0, size, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
		if err != nil {
			return err
		}
		// The kernel pins the pages until the socket is gone; unmapping them before that is allowed.
		defer func() { err = errors.Join(err, k.munmap(m)) }()
		plain := unix.XDPUmemReg{Addr: addressOf(m), Len: size, Size: defaultChunkSize}
		err = k.register(fd, withMetadata(plain, OffloadDriver))
		refused := metadataRefused(err)
		if refused == nil {
			return err
		}
		// EINVAL is the answer "no" only if the flag is what it is about.
		if err := k.register(fd, plain); err != nil {
			return fmt.Errorf("%s: %w", opRegister, err)
		}
		return refused
	})
}

func probeTxBudget(k kernel) error {
	return onScratch(k, func(fd int) error {
		if err := k.setInt(fd, unix.SOL_XDP, unix.XDP_TX_RING, 2*kernelTxBudget); err != nil {
			return fmt.Errorf("%s: %w", opTxRing, err)
		}
		err := k.setInt(fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, kernelTxBudget)
		if errors.Is(err, unix.ENOPROTOOPT) {
			return &FeatureError{Name: "TX budget per wake-up (XDP_MAX_TX_SKB_BUDGET)", MinKernel: "6.18"}
		}
		return err
	})
}

func probeBusyPoll(k kernel) error {
	return onScratch(k, func(fd int) error {
		err := k.setInt(fd, unix.SOL_SOCKET, unix.SO_PREFER_BUSY_POLL, 0)
		if errors.Is(err, unix.ENOPROTOOPT) {
			return &FeatureError{Name: "preferred busy polling", MinKernel: "6.1"}
		}
		return err
	})
}

// probeTimeout is how long a probe waits for a queue that is busy. The kernel frees the queue of a closed socket within
// 10 to 31 ms, a driver that resets the queue for it within some hundreds.
const probeTimeout = time.Second

// probeOptions is a socket as small as it can be.
func probeOptions(ifname string, queue uint32, mode Mode) Options {
	return Options{Ifname: ifname, Queue: queue, Mode: mode, TxChunks: 2, BindTimeout: -1}.withDefaults()
}

// probeBind binds a small socket with extra flags, calls then with it if that is not nil, and closes it.
func probeBind(k kernel, ifname string, queue uint32, mode Mode, extra uint16, then func(fd int) error) (err error) {
	o := probeOptions(ifname, queue, mode)
	if err := o.validate(); err != nil {
		return newOpError(opOptions, ifname, queue, mode, err)
	}
	facts, err := k.link(ifname, 0)
	if err != nil {
		return newOpError(opInterface, ifname, queue, mode, err)
	}
	s := newSocket(k)
	s.granted = Granted{Ifname: facts.Name, IfIndex: facts.Index, Queue: queue, Mode: mode}
	var e *OpError
	if fd, err := k.socket(); err != nil {
		e = s.opError(opSocket, err)
	} else {
		s.fd = fd
		e = s.setUpUMEM(context.Background(), o)
	}
	if e == nil {
		e = s.createRings(o)
	}
	if e == nil {
		// A probe before this one may have had the queue: a driver takes a while to give it back.
		sa := &unix.SockaddrXDP{Ifindex: uint32(facts.Index), QueueID: queue, Flags: bindFlags(o) | extra}
		_, err := repeatWhile(context.Background(), unix.EBUSY, probeTimeout, func() error { return k.bind(s.fd, sa) })
		if err != nil {
			e = s.opError(opBind, err)
		}
	}
	if e == nil && mode == ModeZeroCopy {
		if err := s.probeService(); err != nil {
			e = s.opError(opServe, err)
		}
	}
	defer func() { err = errors.Join(err, s.unwind()) }()
	switch {
	case e != nil:
		return e
	case then != nil:
		return then(s.fd)
	}
	return nil
}
