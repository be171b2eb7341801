// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"encoding/binary"
	"errors"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestClassifyZeroCopyKick(t *testing.T) {
	want := map[syscall.Errno]KickResult{
		0:               KickDone,
		unix.EBUSY:      KickLimited,
		unix.EAGAIN:     KickLimited,
		unix.ENOBUFS:    KickLimited,
		unix.EINTR:      KickLimited,
		unix.ENOMEM:     KickLimited,
		unix.ENETDOWN:   KickLinkDown,
		unix.ENXIO:      KickUnserved,
		unix.ENODEV:     KickUnserved,
		unix.EINVAL:     KickUnserved,
		unix.EOPNOTSUPP: KickUnserved,
		unix.EBADF:      KickGone,
		unix.EPERM:      KickFatal,
		0xffff:          KickFatal,
	}
	for errno, r := range want {
		if got := ClassifyZeroCopyKick(errno); got != r {
			t.Errorf("ClassifyZeroCopyKick(%v) = %v, want %v", errno, got, r)
		}
	}
}

// A driver that grants the bind and then refuses to be woken has given nothing: igb without an XDP program does so.
func TestUnservedBindIsRefused(t *testing.T) {
	for _, c := range []struct {
		wakeup  unix.Errno
		refused bool
	}{
		{0, false}, {unix.EINVAL, true}, {unix.ENXIO, true}, {unix.EOPNOTSUPP, true},
		{unix.ENETDOWN, false}, {unix.EAGAIN, false},
	} {
		k := newScripted()
		k.wakeup = c.wakeup
		s, err := openScripted(k, Options{Mode: ModeZeroCopy})
		if refused := err != nil; refused != c.refused {
			t.Errorf("wake-up %v: %v", c.wakeup, err)
		}
		if err == nil {
			s.Close()
		} else if !copyMayDo(err) || !errors.Is(err, c.wakeup) || !isStep(err, opServe) {
			t.Errorf("wake-up %v: %v is no refusal", c.wakeup, err)
		}
		k.checkNothingLeft(t)

		k = newScripted()
		k.wakeup = c.wakeup
		s, err = openScripted(k, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if g := s.Granted(); (g.Mode == ModeCopy) != c.refused || (g.FallbackReason != nil) != c.refused {
			t.Errorf("wake-up %v: auto granted %v because of %v", c.wakeup, g.Mode, g.FallbackReason)
		}
		s.Close()
	}
}

// Copy mode is not asked whether it works: its wake-up would transmit, and it works everywhere.
func TestCopyIsNotProbed(t *testing.T) {
	k := newScripted()
	s, err := openScripted(k, Options{Mode: ModeCopy})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if slices.Contains(k.log, "kick") {
		t.Errorf("calls: %q", k.log)
	}
}

// The driver of a queue that only sends gets memory to receive into all the same, before the bind.
func TestNoRX(t *testing.T) {
	k := newScripted()
	var filled uint32
	k.binds = func(int, *unix.SockaddrXDP) error {
		filled = binary.NativeEndian.Uint32(k.fillRing) // the producer
		return nil
	}
	s, err := openScripted(k, Options{Mode: ModeZeroCopy, TxChunks: 8, RxChunks: 5, NoRX: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.RX() != nil || s.Granted().RxRing != 0 || s.Granted().RxChunks != 5 {
		t.Errorf("granted %+v, RX ring %v", s.Granted(), s.RX())
	}
	if filled != 5 {
		t.Errorf("%d chunks in the fill ring at the bind, want 5", filled)
	}
	for _, o := range []Options{
		{RxChunks: 4, NoRX: true, RxRing: 4}, {RxChunks: 4, NoRX: true, SplitRX: true},
	} {
		if _, err := openScripted(newScripted(), o); !isStep(err, opOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// The reason that a caller found itself is the one that is shown.
func TestFallbackReasonOfTheCaller(t *testing.T) {
	k := newScripted()
	s, err := openScripted(k, Options{Mode: ModeCopy, Fallback: errInjected})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if g := s.Granted(); g.Mode != ModeCopy || !errors.Is(g.FallbackReason, errInjected) {
		t.Errorf("granted %+v", g)
	}
}
