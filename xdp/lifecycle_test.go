// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// bookkeeper is the real kernel with a count of what is mapped.
type bookkeeper struct {
	linux
	mapped map[*byte]bool
}

func (k bookkeeper) mmap(fd int, offset int64, length, flags int) ([]byte, error) {
	m, err := k.linux.mmap(fd, offset, length, flags)
	if err == nil {
		k.mapped[&m[0]] = true
	}
	return m, err
}

func (k bookkeeper) munmap(b []byte) error {
	delete(k.mapped, &b[0])
	return k.linux.munmap(b)
}

func TestNothingLeaks(t *testing.T) {
	newLab(t, 1, 1)
	k := bookkeeper{mapped: map[*byte]bool{}}
	cycle := func() {
		s, err := open(context.Background(), k, Options{Ifname: "va", TxChunks: 64, RxChunks: 64})
		if err != nil {
			t.Fatal(err)
		}
		if len(k.mapped) != 5 || ringMappings(t) != 4 {
			t.Fatalf("%d mappings, %d of rings: want the UMEM and four rings", len(k.mapped), ringMappings(t))
		}
		s.Kick()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, o := range []Options{
			{Ifname: "va", Mode: ModeZeroCopy, TxChunks: 64},
			{Ifname: "nowhere"},
			{Ifname: "va", Queue: 7},
		} {
			if _, err := open(context.Background(), k, o); err == nil {
				t.Fatalf("%+v opened", o)
			}
		}
		_ = ProbeTxMetadata()
		_, _ = nic.Inspect("va")
	}
	cycle() // what the runtime opens once
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	for range 10 {
		cycle()
	}
	if got := openFiles(t); got != files {
		t.Errorf("%d descriptors, %d before", got, files)
	}
	if len(k.mapped) != 0 || ringMappings(t) != 0 {
		t.Errorf("%d mappings left, %d of rings", len(k.mapped), ringMappings(t))
	}
	if got := runtime.NumGoroutine(); got != goroutines {
		t.Errorf("%d goroutines, %d before", got, goroutines)
	}
}

// Kicks from several goroutines while the socket is closed: each ends in a result or in EBADF, and none touches
// what is unmapped.
func TestCloseDuringKicks(t *testing.T) {
	newLab(t, 1, 1)
	for range 20 {
		s, err := Open(Options{Ifname: "va", Mode: ModeCopy, TxChunks: 64})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			put(t, s, i, frame(60, uint32(i)))
		}
		var wg sync.WaitGroup
		started := make(chan struct{}, 4)
		for range 4 {
			wg.Go(func() {
				started <- struct{}{}
				for {
					switch e := s.Kick(); ClassifyKick(e) {
					case KickGone:
						if e != unix.EBADF {
							t.Errorf("kick: %v", e)
						}
						return
					case KickDone, KickLimited:
					default:
						t.Errorf("kick: %v", e)
						return
					}
					s.Statistics()
					s.WakeRX()
				}
			})
		}
		for range 4 {
			<-started
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestKickDoesNotAllocate(t *testing.T) {
	l := newLab(t, 1, 1)
	s := l.open(Options{Mode: ModeCopy, TxChunks: 8})
	copy(s.UMEM().Chunk(0), frame(60, 0))
	allocs := testing.AllocsPerRun(200, func() {
		idx, n := s.TX().Reserve(1)
		s.TX().Set(idx, Desc{Addr: s.UMEM().Addr(0), Len: 60})
		s.TX().Submit(n)
		if _, kicked := s.KickIfNeeded(); !kicked {
			s.Kick()
		}
		first, n := s.Completion().Peek(8)
		for i := range n {
			if _, ok := s.UMEM().CheckTx(s.Completion().At(first + i)); !ok {
				panic("foreign completion")
			}
		}
		s.Completion().Release(n)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per frame, want 0", allocs)
	}
}

// dropCapability takes one capability from the test's thread, which is not used again.
func dropCapability(t *testing.T, capability uint) {
	t.Helper()
	if _, err := testenv.DropCapabilities(capability); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutNetRaw(t *testing.T) {
	newLab(t, 1, 1)
	dropCapability(t, unix.CAP_NET_RAW)
	_, err := Open(Options{Ifname: "va", TxChunks: 8})
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("without CAP_NET_RAW: %v", err)
	}
	if got := AnswerOf(ProbeAFXDP()); got != AnswerUnknown {
		t.Errorf("probe without CAP_NET_RAW answers %v", got)
	}
}

func TestWithoutNetAdmin(t *testing.T) {
	newLab(t, 1, 1)
	dropCapability(t, unix.CAP_NET_ADMIN)
	s, err := Open(Options{Ifname: "va", TxChunks: 8})
	if err != nil {
		t.Fatalf("copy mode without CAP_NET_ADMIN: %v", err)
	}
	defer s.Close()
	put(t, s, 0, frame(60, 0))
	if e := s.Kick(); e != 0 || len(harvest(t, s)) != 1 {
		t.Errorf("kick: %v", e)
	}
	if err := ProbeBusyPoll(); AnswerOf(err) == AnswerUnknown {
		t.Errorf("busy poll probe without CAP_NET_ADMIN: %v", err)
	}
}

func TestMemlock(t *testing.T) {
	newLab(t, 1, 1)
	dropCapability(t, unix.CAP_IPC_LOCK)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatal(err)
	}
	low := unix.Rlimit{Cur: 64 << 10, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &low); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	_, err := Open(Options{Ifname: "va", TxChunks: 1024})
	if !errors.Is(err, unix.ENOBUFS) || !strings.Contains(err.Error(), "RLIMIT_MEMLOCK") {
		t.Errorf("2 MiB of UMEM with 64 KiB of locked memory: %v", err)
	}
	// Auto mode needs the memory twice, the second time before the kernel has given back the first; and so does a
	// socket that replaces another.
	for range 2 {
		s, err := Open(Options{Ifname: "va", TxChunks: 24})
		if err != nil {
			t.Fatalf("48 KiB of UMEM with 64 KiB of locked memory: %v", err)
		}
		start := time.Now()
		if _, err := Open(Options{Ifname: "lo", TxChunks: 24}); !errors.Is(err, unix.ENOBUFS) ||
			time.Since(start) < memlockTimeout {
			t.Errorf("twice 48 KiB of UMEM with 64 KiB of locked memory: %v after %v", err, time.Since(start))
		}
		s.Close()
	}
}

// The reason why a queue can't be had is who has it, not the memory that the first try has locked a moment ago.
func TestMemlockBehindBusyQueue(t *testing.T) {
	l := newLab(t, 1, 1)
	l.open(Options{Mode: ModeCopy, TxChunks: 8})
	dropCapability(t, unix.CAP_IPC_LOCK)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	// The test before this one may have left locked memory behind, which the first try has to wait for.
	_, err := Open(Options{Ifname: "va", TxChunks: 24, BindTimeout: memlockTimeout})
	if !errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOBUFS) {
		t.Errorf("a queue that is taken: %v", err)
	}
}
