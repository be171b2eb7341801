// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestOneFrame(t *testing.T) {
	l := newLab(t, 2, 2)
	rx := l.listen()
	for _, queue := range []uint32{0, 1} {
		s := l.open(Options{Queue: queue, TxChunks: 64, Headroom: 128})
		want := frame(60, 7+queue)
		put(t, s, 3, want)
		if e := s.Kick(); e != 0 {
			t.Fatalf("kick: %v", e)
		}
		if got := rx.next(); !bytes.Equal(got, want) {
			t.Errorf("queue %d: received\n%x, sent\n%x", queue, got, want)
		}
		if got := harvest(t, s); !slices.Equal(got, []int{3}) {
			t.Errorf("completions %v, want chunk 3", got)
		}
	}
	rx.none()
}

func TestThousandFrames(t *testing.T) {
	l := newLab(t, 1, 1)
	rx := l.listen()
	const chunks = 32 // as many frames as fit the default receive buffer of the listener
	s := l.open(Options{Mode: ModeCopy, TxChunks: chunks})
	free := make([]int, chunks)
	for i := range free {
		free[i] = i
	}
	const total = 1000
	inFlight := map[int]bool{}
	sent, done, received := uint32(0), 0, uint32(0)
	for done < total {
		for sent < total && len(free) > 0 && s.TX().Free() > 0 {
			i := free[len(free)-1]
			free = free[:len(free)-1]
			if inFlight[i] {
				t.Fatalf("chunk %d is in flight already", i)
			}
			inFlight[i] = true
			put(t, s, i, frame(60+int(sent%1400), sent))
			sent++
		}
		if r := ClassifyKick(s.Kick()); r != KickDone && r != KickLimited {
			t.Fatalf("kick: %v", r)
		}
		for _, i := range harvest(t, s) {
			if !inFlight[i] {
				t.Fatalf("chunk %d completed without being in flight", i)
			}
			delete(inFlight, i)
			free = append(free, i)
			done++
		}
		for ; received < uint32(done); received++ {
			if got := rx.next(); !bytes.Equal(got, frame(60+int(received%1400), received)) {
				t.Fatalf("frame %d arrived changed: %x", received, got[:32])
			}
		}
	}
	rx.none()
	if len(free) != chunks || len(inFlight) != 0 || s.TX().Pending() != 0 {
		t.Errorf("%d chunks free, %d in flight, %d pending", len(free), len(inFlight), s.TX().Pending())
	}
	if st := must(s.Statistics())(t); st.TxInvalidDescs != 0 {
		t.Errorf("statistics %+v", st)
	}
}

// One Kick carries TxBudget frames and says EAGAIN when there are more.
func TestBudget(t *testing.T) {
	l := newLab(t, 1, 1)
	s := l.open(Options{Mode: ModeCopy, TxChunks: 512, TxBudget: 64})
	for i := range 100 {
		put(t, s, i, frame(60, uint32(i)))
	}
	budget := s.Granted().TxBudget
	if kernelAtLeast(t, "6.17") && budget != 64 {
		t.Errorf("granted %d of 64", budget)
	}
	e := s.Kick()
	tell(s)
	left := s.TX().Pending()
	if ClassifyKick(e) != KickLimited || left != 100-budget && (AnswerOf(ProbeTxBudget()) == AnswerYes || left != 100-16) {
		t.Errorf("kick: %v, %d left, want %d", e, left, 100-budget)
	}
	for s.TX().Pending() > 0 {
		if r := ClassifyKick(s.Kick()); r != KickDone && r != KickLimited {
			t.Fatal(r)
		}
	}
	if got := len(harvest(t, s)); got != 100 {
		t.Errorf("%d completions", got)
	}
}

func TestPeerDownDropsOneByOne(t *testing.T) {
	l := newLab(t, 1, 1)
	s := l.open(Options{Mode: ModeCopy, TxChunks: 8})
	l.down(l.vb)
	for i := range 5 {
		put(t, s, i, frame(60, uint32(i)))
	}
	for i := range 5 {
		e := s.Kick()
		if ClassifyKick(e) != KickDropped {
			t.Fatalf("kick %d: %v", i, e)
		}
		tell(s)
		if got := s.TX().At(s.TX().Consumer() - 1).Addr; got != s.UMEM().Addr(i) {
			t.Errorf("kick %d dropped %#x, want chunk %d", i, got, i)
		}
	}
	if got := harvest(t, s); !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
		t.Errorf("completions %v: dropped frames complete too", got)
	}
	if c := s.Counters(); c.ByResult[KickDropped] != 5 || c.Kicks != 5 {
		t.Errorf("counters %+v", c)
	}
}

// A frame that is too long is dropped alone; those around it are sent.
func TestOversizeFrame(t *testing.T) {
	l := newLab(t, 1, 1)
	rx := l.listen()
	s := l.open(Options{Mode: ModeCopy, TxChunks: 8})
	put(t, s, 0, frame(60, 0))
	put(t, s, 1, frame(1519, 1))
	put(t, s, 2, frame(1518, 2))
	if e := s.Kick(); ClassifyKick(e) != KickDropped {
		t.Fatalf("kick: %v", e)
	}
	tell(s)
	if got := s.TX().At(s.TX().Consumer() - 1); got.Addr != s.UMEM().Addr(1) || got.Len != 1519 {
		t.Errorf("dropped %+v, want the long one", got)
	}
	if s.TX().Pending() != 1 {
		t.Errorf("%d pending, want the one behind it", s.TX().Pending())
	}
	if e := s.Kick(); e != 0 {
		t.Fatalf("kick: %v", e)
	}
	if a, b := rx.next(), rx.next(); len(a) != 60 || len(b) != 1518 {
		t.Errorf("received %d and %d bytes", len(a), len(b))
	}
	rx.none()
	if got := harvest(t, s); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("completions %v", got)
	}
}

// 0 does not mean drained: the kernel stops behind an invalid descriptor.
func TestInvalidDescriptor(t *testing.T) {
	l := newLab(t, 1, 1)
	rx := l.listen()
	s := l.open(Options{Mode: ModeCopy, TxChunks: 8})
	idx, _ := s.TX().Reserve(1)
	s.TX().Set(idx, Desc{Addr: uint64(len(s.umemMap)) + 4096, Len: 60})
	s.TX().Submit(1)
	put(t, s, 1, frame(60, 1))
	for n := 0; s.TX().Pending() > 0; n++ {
		if e := s.Kick(); e != 0 || n > 3 {
			t.Fatalf("kick %d: %v, %d pending", n, e, s.TX().Pending())
		}
	}
	rx.next()
	rx.none()
	if st := must(s.Statistics())(t); st.TxInvalidDescs != 1 {
		t.Errorf("statistics %+v", st)
	}
	// Kernels differ in whether the foreign address comes back. If it does, the check tells it.
	first, n := s.Completion().Peek(10)
	for i := range n {
		if index, ok := s.UMEM().CheckTx(s.Completion().At(first + i)); ok && index != 1 {
			t.Errorf("completion of chunk %d", index)
		}
	}
}

func TestLinkDownKeepsDescriptors(t *testing.T) {
	l := newLab(t, 1, 1)
	rx := l.listen()
	s := l.open(Options{Mode: ModeCopy, TxChunks: 8})
	l.down(l.va)
	for i := range 3 {
		put(t, s, i, frame(60, uint32(i)))
	}
	for range 3 {
		if e := s.Kick(); ClassifyKick(e) != KickLinkDown {
			t.Fatalf("kick while down: %v", e)
		}
	}
	if s.TX().Pending() != 3 || len(harvest(t, s)) != 0 {
		t.Fatalf("%d pending while down, want 3 and no completion", s.TX().Pending())
	}
	l.up(l.va)
	waitFor(t, "the first kick after up", func() bool {
		return ClassifyKick(s.Kick()) == KickDone &&
			s.TX().Pending() == 0
	})
	got := harvest(t, s)
	if !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("completions %v", got)
	}
	for range 3 - int(s.Counters().ByResult[KickDropped]) { // carrier may come a moment after up
		rx.next()
	}
}

func TestDeviceDeleted(t *testing.T) {
	l := newLab(t, 1, 1)
	s := l.open(Options{Mode: ModeCopy, TxChunks: 8})
	put(t, s, 0, frame(60, 0))
	if err := netlink.LinkDel(l.va); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if e := s.Kick(); ClassifyKick(e) != KickGone {
			t.Fatalf("kick: %v", e)
		}
	}
	if s.TX().Pending() != 1 {
		t.Errorf("%d pending", s.TX().Pending())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Open(Options{Ifname: "va"}); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(),
		"ip link") {
		t.Errorf("open on a deleted device: %v", err)
	}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: nothing for a minute", what)
		}
	}
}
