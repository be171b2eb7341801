// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func openScripted(k *scripted, o Options) (*Socket, error) {
	if o.Ifname == "" {
		o.Ifname = "fake0"
	}
	if o.TxChunks == 0 {
		o.TxChunks = 64
	}
	return open(context.Background(), k, o)
}

// Every step of Open is made to fail in turn. Each time the error names a step and the cause, and nothing stays.
func TestOpenUnwindsFromEveryStep(t *testing.T) {
	for name, o := range map[string]Options{
		"send-only": {Mode: ModeCopy},
		"both-ways": {Mode: ModeCopy, RxChunks: 16},
		"auto":      {Mode: ModeAuto, RxChunks: 16},
	} {
		t.Run(name, func(t *testing.T) {
			steps := 0
			for n := 1; ; n++ {
				k := newScripted()
				k.failAt, k.fail = n, errInjected
				s, err := openScripted(k, o)
				if err == nil {
					if len(k.log) >= n && !tolerated(k.log[n-1], o.Mode) {
						t.Errorf("call %d, %q, failed unnoticed", n, k.log[n-1])
					}
					if s.Close(); len(k.log) < n {
						break
					}
					k.checkNothingLeft(t)
					continue
				}
				steps++
				var op *OpError
				if !errors.As(err, &op) || !errors.Is(err, errInjected) || op.Op == "" {
					t.Errorf("call %d, %q: error %v", n, k.log[n-1], err)
				}
				if s != nil {
					t.Errorf("call %d: a socket and an error", n)
				}
				k.checkNothingLeft(t)
				k.checkTearDownOrder(t)
			}
			if steps < 12 {
				t.Errorf("only %d steps failed: the test does not reach them all", steps)
			}
		})
	}
}

// tolerated are the calls whose failure Open answers otherwise than by giving up.
func tolerated(call string, mode Mode) bool {
	return call == "set 1/32" || // SO_SNDBUFFORCE without CAP_NET_ADMIN: SO_SNDBUF follows
		mode == ModeAuto && call == "bind" || // copy mode follows
		call == "close" || strings.HasPrefix(call, "unmap") // this is the Close of the test
}

func TestOpenReportsFailedCleanup(t *testing.T) {
	k := newScripted()
	unmapErr := errors.New("munmap broke")
	k.errs["bind"], k.errs["unmap umem"] = unix.EINVAL, unmapErr
	_, err := openScripted(k, Options{Mode: ModeCopy})
	if !errors.Is(err, unix.EINVAL) || !errors.Is(err, unmapErr) {
		t.Errorf("error %v, want both the cause and the failed cleanup", err)
	}
	k.checkNothingLeft(t)
}

func TestOpenOrder(t *testing.T) {
	k := newScripted()
	s, err := openScripted(k, Options{Mode: ModeCopy, RxChunks: 16})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Fill().Pending(); got != 16 {
		t.Errorf("%d chunks in the fill ring, want all 16", got)
	}
	for i := range uint32(16) {
		if index, ok := s.UMEM().Check(s.fill.addrs[i]); !ok || index != 64+int(i) {
			t.Errorf("fill entry %d is chunk %d", i, index)
		}
	}
	if got := k.opts[[2]int{unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET}]; got != 64 || s.Granted().TxBudget != 64 {
		t.Errorf("budget %d, granted %d, want 64", got, s.Granted().TxBudget)
	}
	if g := s.Granted(); g.Mode != ModeCopy || !g.NeedWakeup || g.SndBuf != 2*64*2560 || g.Ifname != "fake0" || g.IfIndex != 7 {
		t.Errorf("granted %+v", g)
	}
	k.log = append(k.log, "-- close --")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	k.checkTearDownOrder(t)
	k.checkNothingLeft(t)
	ringsUnmapped := 0
	for _, c := range k.log[slices.Index(k.log, "-- close --"):] {
		if strings.HasPrefix(c, "unmap ring") {
			ringsUnmapped++
		}
	}
	if ringsUnmapped != 4 {
		t.Errorf("%d rings unmapped, want 4: %q", ringsUnmapped, k.log)
	}
}

// RX chunks must be in the fill ring before the bind.
func TestFillRingIsPopulatedBeforeBind(t *testing.T) {
	k := newScripted()
	var s *Socket
	var pending uint32
	k.binds = func(int, *unix.SockaddrXDP) error {
		for m, name := range k.maps {
			if name == "ring 0x100000000" {
				pending = *(wordAt(m))
			}
		}
		return nil
	}
	s, err := openScripted(k, Options{Mode: ModeCopy, RxChunks: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if pending != 16 {
		t.Errorf("fill producer %d at the bind, want 16", pending)
	}
}

func TestBindFlags(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want uint16
	}{
		{Options{Mode: ModeCopy}, unix.XDP_COPY | unix.XDP_USE_NEED_WAKEUP},
		{Options{Mode: ModeZeroCopy}, unix.XDP_ZEROCOPY | unix.XDP_USE_NEED_WAKEUP},
		{Options{Mode: ModeCopy, DisableNeedWakeup: true}, unix.XDP_COPY},
	} {
		k := newScripted()
		s, err := openScripted(k, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if len(k.flags) != 1 || k.flags[0] != c.want {
			t.Errorf("%+v bound with flags %v, want %#x", c.o, k.flags, c.want)
		}
		if s.Granted().Mode != c.o.Mode || s.Granted().NeedWakeup == c.o.DisableNeedWakeup {
			t.Errorf("granted %+v", s.Granted())
		}
		s.Close()
	}
}

func TestAutoFallsBack(t *testing.T) {
	for _, refusal := range []error{unix.EOPNOTSUPP, unix.EINVAL, unix.Errno(524), unix.ENXIO} {
		k := newScripted()
		k.binds = func(_ int, sa *unix.SockaddrXDP) error {
			if sa.Flags&unix.XDP_ZEROCOPY != 0 {
				return refusal
			}
			return nil
		}
		s, err := openScripted(k, Options{})
		if err != nil {
			t.Fatal(err)
		}
		g := s.Granted()
		if g.Mode != ModeCopy || !errors.Is(g.FallbackReason, refusal) {
			t.Errorf("refused with %v: granted %v because of %v", refusal, g.Mode, g.FallbackReason)
		}
		sockets, umems := 0, 0
		for _, c := range k.log {
			switch c {
			case "socket":
				sockets++
			case "map umem":
				umems++
			}
		}
		if sockets != 2 || umems != 2 {
			t.Errorf("%d sockets and %d UMEMs, want new ones for the second try", sockets, umems)
		}
		s.Close()
		k.checkNothingLeft(t)
	}
}

func TestAutoDoesNotFallBack(t *testing.T) {
	for _, c := range []struct {
		call string
		err  error
	}{{"bind", unix.ENODEV}, {"bind", unix.EPERM}, {"socket", unix.EPERM}, {"register", unix.ENOBUFS}} {
		k := newScripted()
		k.errs[c.call] = c.err
		_, err := openScripted(k, Options{})
		if !errors.Is(err, c.err) || k.nbind > 1 {
			t.Errorf("%s: %v: error %v after %d binds", c.call, c.err, err, k.nbind)
		}
		k.checkNothingLeft(t)
	}
}

func TestAutoTakesZeroCopy(t *testing.T) {
	k := newScripted()
	s, err := openScripted(k, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if g := s.Granted(); g.Mode != ModeZeroCopy || g.FallbackReason != nil || k.nbind != 1 {
		t.Errorf("granted %+v after %d binds", g, k.nbind)
	}
}

func TestModeIsReadBack(t *testing.T) {
	k := newScripted()
	k.zc = true
	_, err := openScripted(k, Options{Mode: ModeCopy})
	if !errors.Is(err, ErrModeMismatch) {
		t.Errorf("the kernel bound zero-copy when asked to copy: %v", err)
	}
	k.checkNothingLeft(t)
}

func TestBindWaitsOutBusy(t *testing.T) {
	k := newScripted()
	k.binds = func(n int, _ *unix.SockaddrXDP) error {
		if n < 4 {
			return unix.EBUSY
		}
		return nil
	}
	s, err := openScripted(k, Options{Mode: ModeCopy, BindTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if k.nbind != 4 || s.Granted().BindWait < 3*bindBackoffMin {
		t.Errorf("%d binds in %v", k.nbind, s.Granted().BindWait)
	}
}

func TestBindGivesUp(t *testing.T) {
	busy := func() *scripted {
		k := newScripted()
		k.errs["bind"] = unix.EBUSY
		return k
	}
	k := busy()
	if _, err := openScripted(k, Options{Mode: ModeCopy, BindTimeout: -1}); !errors.Is(err, unix.EBUSY) || k.nbind != 1 {
		t.Errorf("no repeating: %v after %d binds", err, k.nbind)
	}
	k = busy()
	start := time.Now()
	_, err := openScripted(k, Options{Mode: ModeCopy, BindTimeout: 20 * time.Millisecond})
	if took := time.Since(start); !errors.Is(err, unix.EBUSY) || took < 20*time.Millisecond || k.nbind < 3 {
		t.Errorf("%v after %v and %d binds", err, took, k.nbind)
	}
	k.checkNothingLeft(t)

	k = busy()
	ctx, cancel := context.WithCancel(context.Background())
	k.binds = nil
	k.errs["bind"] = nil
	k.binds = func(n int, _ *unix.SockaddrXDP) error {
		if n == 3 {
			cancel()
		}
		return unix.EBUSY
	}
	_, err = open(ctx, k, Options{Ifname: "fake0", TxChunks: 64, BindTimeout: time.Hour})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, unix.EBUSY) || k.nbind != 3 {
		t.Errorf("cancelled: %v after %d binds", err, k.nbind)
	}
	k.checkNothingLeft(t)
}

// A driver may say EBUSY when it means that it has no zero-copy now; copy mode is then tried, once.
func TestAutoAfterBusy(t *testing.T) {
	k := newScripted()
	k.binds = func(_ int, sa *unix.SockaddrXDP) error {
		if sa.Flags&unix.XDP_ZEROCOPY != 0 {
			return unix.EBUSY
		}
		return nil
	}
	s, err := openScripted(k, Options{BindTimeout: 5 * time.Millisecond})
	if err != nil || s.Granted().Mode != ModeCopy {
		t.Fatalf("%v", err)
	}
	s.Close()
}

func TestQueueWithoutTxSideIsRefused(t *testing.T) {
	k := newScripted()
	for q, ok := range map[uint32]bool{0: true, 1: true, 2: false, 1<<32 - 1: false} {
		s, err := openScripted(k, Options{Queue: q})
		if ok != (err == nil) || err != nil && (!errors.Is(err, ErrNoTxQueue) || !strings.Contains(err.Error(), "fake0 has 2 (test)")) {
			t.Errorf("queue %d: %v", q, err)
		}
		if s != nil {
			s.Close()
		}
	}
}

func TestOldKernels(t *testing.T) {
	k := newScripted()
	budget := "set 283/9"
	k.errs[budget] = unix.ENOPROTOOPT
	s, err := openScripted(k, Options{Mode: ModeCopy})
	if err != nil {
		t.Fatalf("no budget option: %v", err)
	}
	if s.Granted().TxBudget != 32 {
		t.Errorf("budget %d granted on a kernel without the option", s.Granted().TxBudget)
	}
	s.Close()
	k.errs[budget] = unix.EACCES
	if _, err := openScripted(k, Options{Mode: ModeCopy}); !errors.Is(err, unix.EACCES) {
		t.Errorf("a refused budget: %v", err)
	}
	k = newScripted()
	k.errs["map huge umem"] = unix.ENOMEM
	s, err = openScripted(k, Options{Mode: ModeCopy, HugePages: true})
	if err != nil || s.Granted().HugePages {
		t.Fatalf("no huge pages: %v, granted %v", err, s.Granted().HugePages)
	}
	s.Close()
	k.errs = map[string]error{}
	s, err = openScripted(k, Options{Mode: ModeCopy, HugePages: true})
	if err != nil || !s.Granted().HugePages || len(s.umemMap)%hugePage != 0 {
		t.Fatalf("huge pages: %v, %d bytes", err, len(s.umemMap))
	}
	s.Close()
	k.checkNothingLeft(t)
}

func TestStatisticsVersions(t *testing.T) {
	raw := unix.XDPStatistics{Rx_dropped: 1, Rx_invalid_descs: 2, Tx_invalid_descs: 3, Rx_ring_full: 4, Rx_fill_ring_empty_descs: 5, Tx_ring_empty_descs: 6}
	if got, want := statisticsOf(raw, 48), (Statistics{1, 2, 3, 4, 5, 6, 2}); got != want {
		t.Errorf("v2 %+v, want %+v", got, want)
	}
	raw.Rx_ring_full, raw.Rx_fill_ring_empty_descs, raw.Tx_ring_empty_descs = 0, 0, 0
	if got, want := statisticsOf(raw, 24), (Statistics{1, 2, 3, 0, 0, 0, 1}); got != want {
		t.Errorf("v1 %+v, want %+v", got, want)
	}
}
