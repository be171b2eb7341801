// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// slowStatistics is a kernel in which a call to read the statistics stays until it is let go.
type slowStatistics struct {
	*scripted
	entered, let chan struct{}
}

func (k *slowStatistics) statistics(fd int) (unix.XDPStatistics, int, error) {
	close(k.entered)
	<-k.let
	return k.scripted.statistics(fd)
}

// While a call is in the kernel Close refuses all others and takes nothing away.
func TestCloseWaitsForCallsInTheKernel(t *testing.T) {
	k := &slowStatistics{newScripted(), make(chan struct{}), make(chan struct{})}
	s, err := open(t.Context(), k, Options{Ifname: "fake0", Mode: ModeCopy, TxChunks: 8})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Statistics(); err != nil {
			t.Errorf("the call in the kernel: %v", err)
		}
	})
	<-k.entered
	var closed atomic.Bool
	wg.Go(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		closed.Store(true)
	})
	for !s.calls.Closed() {
		runtime.Gosched()
	}
	if e := s.Kick(); e != unix.EBADF {
		t.Errorf("kick while the socket closes: %v", e)
	}
	k.mu.Lock()
	if closed.Load() || len(k.fds) != 1 || len(k.maps) != 4 {
		t.Errorf("closed %v with a call in the kernel, left are %d descriptors and %d mappings", closed.Load(), len(k.fds), len(k.maps))
	}
	k.mu.Unlock()
	close(k.let)
	wg.Wait()
	k.checkNothingLeft(t)
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
