// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// open is Open over any kernel.
func open(ctx context.Context, k kernel, o Options) (*Socket, error) {
	o = o.withDefaults()
	name := o.Ifname
	if name == "" {
		name = fmt.Sprintf("interface %d", o.IfIndex)
	}
	if err := o.validate(); err != nil {
		return nil, newOpError(opOptions, name, o.Queue, o.Mode, err)
	}
	facts, err := k.link(o.Ifname, o.IfIndex)
	if err != nil {
		return nil, newOpError(opInterface, name, o.Queue, o.Mode, err)
	}
	if err := checkQueue(facts, o.Queue); err != nil {
		e := newOpError(opQueue, facts.Name, o.Queue, o.Mode, err)
		e.Hint = "choose a smaller queue, or give the interface more TX queues: see ethtool -l"
		return nil, e
	}
	if o.Mode == ModeAuto {
		return openAuto(ctx, k, o, facts)
	}
	return buildGranted(ctx, k, o, facts)
}

// checkQueue refuses a queue without a TX side. The kernel would bind it as long as there are as many RX queues, and
// then every Kick returns 0 and sends nothing.
func checkQueue(l nic.Link, queue uint32) error {
	if int64(queue) < int64(l.TxQueues.N) {
		return nil
	}
	return fmt.Errorf("%w: %s has %v (%s)", ErrNoTxQueue, l.Name, l.TxQueues, l.TxQueues.Source)
}

// newSocket has nothing yet. A descriptor that it does not have is −1, since 0 is one that somebody else may have.
func newSocket(k kernel) *Socket { return &Socket{k: k, fd: -1, rxFD: -1} }

// build makes one socket in one mode, a new one with a new UMEM for each try: a driver may have kept something of a
// bind that failed, which then answers EBUSY. On failure everything is given back in the order of I8.
func build(ctx context.Context, k kernel, o Options, facts nic.Link) (*Socket, error) {
	s := newSocket(k)
	s.granted = Granted{
		Ifname: facts.Name, IfIndex: facts.Index, Queue: o.Queue,
		Mode: o.Mode, FallbackReason: o.Fallback, NeedWakeup: !o.DisableNeedWakeup,
		ChunkSize: o.ChunkSize, TxChunks: o.TxChunks, RxChunks: o.RxChunks, Headroom: o.Headroom,
		FrameChunks: frameChunks(k, o, facts),
		TxRing:      o.TxRing, CompletionRing: o.CompletionRing, FillRing: o.FillRing, RxRing: o.RxRing,
		TxQueues: facts.TxQueues,
	}
	if err := s.setUp(ctx, o); err != nil {
		if cleanup := s.unwind(); cleanup != nil {
			err.Err = errors.Join(err.Err, cleanup)
		}
		return nil, err
	}
	return s, nil
}

// setUp runs the steps in the order the kernel wants them: memory and rings, then the bind, then reading back.
func (s *Socket) setUp(ctx context.Context, o Options) *OpError {
	fd, err := s.k.socket()
	if err != nil {
		return s.opError(opSocket, err)
	}
	s.fd = fd
	if err := s.setSndBuf(int(o.SndBuf)); err != nil {
		return s.opError(opSndBuf, err)
	}
	if e := s.setUpUMEM(ctx, o); e != nil {
		return e
	}
	if e := s.createRings(o); e != nil {
		return e
	}
	if err := s.setBudget(o.TxBudget); err != nil {
		return s.opError(opBudget, err)
	}
	if e := s.mapRings(o); e != nil {
		return e
	}
	// Before the bind: several drivers take RX chunks only then.
	s.populateFill()
	if err := s.bind(ctx, o); err != nil {
		return s.opError(opBind, err)
	}
	if err := s.readBack(o.Mode); err != nil {
		return s.opError(opReadOptions, err)
	}
	if o.Mode == ModeZeroCopy {
		if err := s.probeService(); err != nil {
			return s.opError(opServe, err)
		}
	}
	if o.SplitRX {
		return s.setUpRX(o)
	}
	return nil
}

// setSndBuf makes room for every chunk to be in flight: the default stops a queue at about 277 small frames. The size
// is forced where that is permitted, else it goes as far as net.core.wmem_max allows.
func (s *Socket) setSndBuf(size int) error {
	if s.k.setInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size) != nil {
		if err := s.k.setInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, size); err != nil {
			return err
		}
	}
	got, err := s.k.getInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	s.granted.SndBuf = got
	return err
}

// setBudget raises what one Kick may transmit. A kernel without the option keeps its 32, which is no failure.
func (s *Socket) setBudget(budget uint32) error {
	s.granted.TxBudget = kernelTxBudget
	if budget == 0 {
		return nil // the TX ring is smaller than the least budget the kernel takes
	}
	err := s.k.setInt(s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, int(budget))
	if errors.Is(err, unix.ENOPROTOOPT) {
		return nil
	}
	if err == nil {
		s.granted.TxBudget = budget
	}
	return err
}

// bind repeats while the queue is busy: the kernel frees the queue of a closed socket 10–31 ms later, perhaps after its
// process has ended.
func (s *Socket) bind(ctx context.Context, o Options) error {
	sa := &unix.SockaddrXDP{Ifindex: uint32(s.granted.IfIndex), QueueID: o.Queue, Flags: bindFlags(o)}
	if s.granted.FrameChunks > 1 {
		sa.Flags |= unix.XDP_USE_SG
	}
	waited, err := repeatWhile(ctx, unix.EBUSY, o.BindTimeout, func() error { return s.k.bind(s.fd, sa) })
	s.granted.BindWait = waited
	return err
}

const (
	backoffMin = 500 * time.Microsecond
	backoffMax = 10 * time.Millisecond
)

// repeatWhile repeats a step that fails with one errno, with growing pauses, until it ends otherwise, the time is
// up or the context done. The error always contains the errno of the last try.
func repeatWhile(ctx context.Context, errno syscall.Errno, limit time.Duration,
	step func() error) (time.Duration, error) {
	start := time.Now()
	for pause := backoffMin; ; pause = min(2*pause, backoffMax) {
		err := step()
		waited := time.Since(start)
		if !errors.Is(err, errno) {
			return waited, err
		}
		left := limit - waited
		if left <= 0 {
			if limit > 0 {
				err = fmt.Errorf("%w for %v", err, waited.Round(time.Millisecond))
			}
			return waited, err
		}
		timer := time.NewTimer(min(pause, left))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return waited, fmt.Errorf("%w, while waiting out: %w", context.Cause(ctx), err)
		}
	}
}

func bindFlags(o Options) uint16 {
	flags := uint16(unix.XDP_COPY)
	if o.Mode == ModeZeroCopy {
		flags = unix.XDP_ZEROCOPY
	}
	if !o.DisableNeedWakeup {
		flags |= unix.XDP_USE_NEED_WAKEUP
	}
	return flags
}

// readBack takes the kernel's word for the mode (I11).
func (s *Socket) readBack(asked Mode) error {
	flags, err := s.k.getInt(s.fd, unix.SOL_XDP, unix.XDP_OPTIONS)
	if err != nil {
		return err
	}
	got := ModeCopy
	if flags&unix.XDP_OPTIONS_ZEROCOPY != 0 {
		got = ModeZeroCopy
	}
	if got != asked {
		return fmt.Errorf("%w: asked for %v, got %v", ErrModeMismatch, asked, got)
	}
	return nil
}

// probeService wakes the driver once, with nothing to send. Several drivers grant a zero-copy bind without an XDP
// program and then refuse every wake-up because there is none: igb and ixgbe say EINVAL, igc ENXIO. A link that is down
// or in the middle of a reset is no refusal.
func (s *Socket) probeService() error {
	errno := s.k.kick(s.fd)
	if ClassifyZeroCopyKick(errno) == KickUnserved {
		return fmt.Errorf("the driver granted the bind and does not serve the queue: %w", errno)
	}
	return nil
}
