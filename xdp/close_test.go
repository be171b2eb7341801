// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestGuard(t *testing.T) {
	g := newGuard()
	for range 2 {
		if !g.enter() {
			t.Fatal("an open guard refuses")
		}
	}
	g.leave()
	closed := make(chan struct{})
	go func() { g.close(); close(closed) }()
	for !g.closed() {
	}
	if g.enter() {
		t.Error("a closed guard lets in")
	}
	select {
	case <-closed:
		t.Fatal("closed while a call was inside")
	default:
	}
	g.leave()
	<-closed
	if g.enter() {
		t.Error("a closed guard lets in")
	}
}

// Nobody may be inside once close has returned, and nobody may get in.
func TestGuardRace(t *testing.T) {
	for range 200 {
		g := newGuard()
		var gone atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for g.enter() {
					if gone.Load() {
						t.Error("inside a guard that is closed")
					}
					g.leave()
				}
			})
		}
		g.close()
		gone.Store(true)
		wg.Wait()
	}
}

func TestCloseIsIdempotentAndFinal(t *testing.T) {
	k := newScripted()
	s, err := openScripted(k, Options{Mode: ModeCopy, RxChunks: 4})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := s.Statistics(); err != nil || st.TxInvalidDescs != 2 || st.Version != 2 {
		t.Errorf("statistics %+v, %v", st, err)
	}
	broken := errors.New("close broke")
	k.errs["close"] = broken
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := s.Close(); !errors.Is(err, broken) {
				t.Errorf("close: %v", err)
			}
		})
	}
	wg.Wait()
	k.checkNothingLeft(t)
	k.checkTearDownOrder(t)
	if e := s.Kick(); e != unix.EBADF {
		t.Errorf("kick after close: %v", e)
	}
	if e, kicked := s.KickIfNeeded(); e != unix.EBADF || kicked {
		t.Errorf("kick if needed after close: %v, %v", e, kicked)
	}
	if e := s.WakeRX(); e != unix.EBADF {
		t.Errorf("wake after close: %v", e)
	}
	if _, err := s.Statistics(); !errors.Is(err, ErrClosed) {
		t.Errorf("statistics after close: %v", err)
	}
	if s.FD() != -1 || s.UMEM().Chunk(0) != nil || s.TX().Free() != 0 {
		t.Error("a closed socket still shows memory or a descriptor")
	}
	if c := s.Counters(); c.Kicks != 0 {
		t.Errorf("counters %+v: calls that were refused are no kicks", c)
	}
}

func TestKickIfNeededLooksAtTheFlag(t *testing.T) {
	for _, c := range []struct {
		disabled bool
		flag     uint32
		want     bool
	}{{false, 1, true}, {false, 0, false}, {true, 0, true}, {true, 1, true}} {
		k := newScripted()
		s, err := openScripted(k, Options{Mode: ModeCopy, DisableNeedWakeup: c.disabled})
		if err != nil {
			t.Fatal(err)
		}
		s.tx.words.Flags.Store(c.flag)
		// The descriptor is none of the process: a system call on it says EBADF.
		errno, kicked := s.KickIfNeeded()
		if kicked != c.want || kicked != (errno == unix.EBADF) {
			t.Errorf("%+v: kicked %v, %v", c, kicked, errno)
		}
		got := s.Counters()
		if (got.Kicks == 1) != c.want || (got.KicksSaved == 1) == c.want || got.ByResult[KickGone] != got.Kicks {
			t.Errorf("%+v: counters %+v", c, got)
		}
		s.Close()
	}
}
