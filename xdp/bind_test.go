// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

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
		_, err := openScripted(k, Options{BindTimeout: -1})
		if !errors.Is(err, c.err) || k.nbind > 1 {
			t.Errorf("%s: %v: error %v after %d binds", c.call, c.err, err, k.nbind)
		}
		k.checkNothingLeft(t)
	}
}

// The rule of the ladder, which the datapath goes by as well. What Open makes of it is tested above and below.
func TestCopyAfter(t *testing.T) {
	failed := func(op string, err error) error {
		return fmt.Errorf("try: %w", &OpError{Op: op, Mode: ModeZeroCopy, Err: err})
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name    string
		ctx     context.Context
		mode    Mode
		refusal error
		ok      bool
		timeout time.Duration
	}{
		{"bind refused", t.Context(), ModeAuto, failed(opBind, unix.EOPNOTSUPP), true, time.Minute},
		{"busy", t.Context(), ModeAuto, failed(opBind, unix.EBUSY), true, -1},
		{"not served", t.Context(), ModeAuto, failed(opServe, unix.EINVAL), true, time.Minute},
		{"another mode", t.Context(), ModeAuto, failed(opReadOptions, ErrModeMismatch), true, time.Minute},
		{"the caller's own reason", t.Context(), ModeAuto, fmt.Errorf("no program: %w", ErrNotSupported), true, time.Minute},
		{"the caller's own failure", t.Context(), ModeAuto, unix.ENOMEM, false, 0},
		{"gone", t.Context(), ModeAuto, failed(opBind, unix.ENODEV), false, 0},
		{"not permitted", t.Context(), ModeAuto, failed(opBind, unix.EPERM), false, 0},
		{"old kernel", t.Context(), ModeAuto, failed(opOffsets, &FeatureError{Name: "rings"}), false, 0},
		{"no memory", t.Context(), ModeAuto, failed(opRegister, unix.ENOBUFS), false, 0},
		{"zero-copy or nothing", t.Context(), ModeZeroCopy, failed(opBind, unix.EOPNOTSUPP), false, 0},
		{"given up", done, ModeAuto, failed(opBind, unix.EBUSY), false, 0},
	} {
		o, ok := CopyAfter(c.ctx, Options{Mode: c.mode, BindTimeout: time.Minute, TxChunks: 7}, c.refusal)
		if ok != c.ok || ok && (o.Mode != ModeCopy || o.Fallback != c.refusal || o.BindTimeout != c.timeout || o.TxChunks != 7) {
			t.Errorf("%s: %v, %+v", c.name, ok, o)
		}
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
	if k.nbind != 4 || s.Granted().BindWait < 3*backoffMin {
		t.Errorf("%d binds in %v", k.nbind, s.Granted().BindWait)
	}
}

// The clock is that of a bubble: the waits take no time, and nothing else does.
func TestBindGivesUp(t *testing.T) { synctest.Test(t, testBindGivesUp) }

func testBindGivesUp(t *testing.T) {
	busy := func() *scripted {
		k := newScripted()
		k.errs["bind"] = unix.EBUSY
		return k
	}
	k := busy()
	if _, err := openScripted(k, Options{Mode: ModeCopy, BindTimeout: -1}); !errors.Is(err, unix.EBUSY) ||
		k.nbind != 1 {
		t.Errorf("no repeating: %v after %d binds", err, k.nbind)
	}
	k = busy()
	start := time.Now()
	_, err := openScripted(k, Options{Mode: ModeCopy, BindTimeout: 20 * time.Millisecond})
	if took := time.Since(start); !errors.Is(err, unix.EBUSY) || took != 20*time.Millisecond || k.nbind < 3 {
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
func TestAutoAfterBusy(t *testing.T) { synctest.Test(t, testAutoAfterBusy) }

func testAutoAfterBusy(t *testing.T) {
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

	k = newScripted()
	k.errs["bind"] = unix.EBUSY
	_, err = openScripted(k, Options{BindTimeout: 5 * time.Millisecond})
	copies := 0
	for _, f := range k.flags {
		if f&unix.XDP_COPY != 0 {
			copies++
		}
	}
	if !errors.Is(err, unix.EBUSY) || copies != 1 || k.nbind < 3 {
		t.Errorf("a queue that stays busy: %v after %d binds, %d in copy mode: the wait must not be done twice", err, k.nbind, copies)
	}
	k.checkNothingLeft(t)
}

// lateMemory is a kernel that gives the locked memory of a closed socket back late: the register calls of each further
// socket fail a few times.
type lateMemory struct {
	*scripted
	first, late int
}

func (k *lateMemory) register(fd int, reg unix.XDPUmemReg) error {
	if k.first == 0 {
		k.first = fd
	}
	if fd != k.first && k.late > 0 {
		k.late--
		return unix.ENOBUFS
	}
	return k.scripted.register(fd, reg)
}

// Copy mode behind a zero-copy bind that stayed busy does not wait for the queue again, but it does for the memory that
// its own predecessor had locked. The chunks are few: where all that may be locked is less than a UMEM, it is not
// waited for, and before Linux 5.16 that is 64 KiB.
func TestAutoAfterBusyWaitsForMemory(t *testing.T) {
	for name, open := range map[string]func(k kernel) (*Socket, error){
		"auto": func(k kernel) (*Socket, error) {
			return open(context.Background(), k, Options{Ifname: "fake0", TxChunks: 16, BindTimeout: 5 * time.Millisecond})
		},
		"by-the-caller": func(k kernel) (*Socket, error) {
			o := Options{Ifname: "fake0", TxChunks: 16, Mode: ModeZeroCopy, BindTimeout: 5 * time.Millisecond}
			_, err := open(context.Background(), k, o)
			o.Mode, o.Fallback, o.BindTimeout = ModeCopy, err, -1
			return open(context.Background(), k, o)
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := &lateMemory{scripted: newScripted(), late: 3}
			k.binds = func(_ int, sa *unix.SockaddrXDP) error {
				if sa.Flags&unix.XDP_ZEROCOPY != 0 {
					return unix.EBUSY
				}
				return nil
			}
			s, err := open(k)
			if err != nil || s.Granted().Mode != ModeCopy || !errors.Is(s.Granted().FallbackReason, unix.EBUSY) {
				t.Fatalf("%v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			k.checkNothingLeft(t)
		})
	}
}
