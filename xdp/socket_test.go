// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"bytes"
	"context"
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

func TestGrantedOnVeth(t *testing.T) {
	l := newLab(t, 2, 2)
	s := l.open(Options{Queue: 1})
	g := s.Granted()
	if g.Mode != ModeCopy || !errors.Is(g.FallbackReason, unix.EOPNOTSUPP) || g.Ifname != "va" || g.IfIndex != l.va.Attrs().Index || g.Queue != 1 {
		t.Errorf("granted %+v", g)
	}
	if !g.TxQueues.Exact || g.TxQueues.N != 2 {
		t.Errorf("TX queues %+v", g.TxQueues)
	}
	if want := uint32(256); kernelAtLeast(t, "6.17") && g.TxBudget != want {
		t.Errorf("budget %d, want %d", g.TxBudget, want)
	}
	if g.SndBuf < 212992 {
		t.Errorf("send buffer %d: not raised", g.SndBuf)
	}
	if flags := must(unix.GetsockoptInt(s.FD(), unix.SOL_XDP, unix.XDP_OPTIONS))(t); flags != 0 {
		t.Errorf("XDP_OPTIONS %#x for %v", flags, g.Mode)
	}
}

func TestThousandFrames(t *testing.T) {
	l := newLab(t, 1, 1)
	rx := l.listen()
	s := l.open(Options{Mode: ModeCopy, TxChunks: 128})
	free := make([]int, 128)
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
	if len(free) != 128 || len(inFlight) != 0 || s.TX().Pending() != 0 {
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
	if left := s.TX().Pending(); ClassifyKick(e) != KickLimited || left != 100-budget {
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
	waitFor(t, "the first kick after up", func() bool { return ClassifyKick(s.Kick()) == KickDone && s.TX().Pending() == 0 })
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
	if _, err := Open(Options{Ifname: "va"}); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "ip link") {
		t.Errorf("open on a deleted device: %v", err)
	}
}

// After Close the queue is free again within the BindTimeout: with a ring left mapped it would be busy for ever.
func TestRebind(t *testing.T) {
	l := newLab(t, 1, 1)
	var longest time.Duration
	for range 10 {
		s := l.open(Options{Mode: ModeCopy, TxChunks: 8, RxChunks: 8})
		longest = max(longest, s.Granted().BindWait)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("longest wait for the queue: %v", longest)
}

func TestQueueTaken(t *testing.T) {
	l := newLab(t, 1, 1)
	first := l.open(Options{Mode: ModeCopy, TxChunks: 8})
	_, err := Open(Options{Ifname: "va", Mode: ModeCopy, TxChunks: 8, BindTimeout: 30 * time.Millisecond})
	var op *OpError
	if !errors.Is(err, unix.EBUSY) || !errors.As(err, &op) || op.Hint == "" || op.Op != opBind {
		t.Errorf("a second socket on the queue: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = OpenContext(ctx, Options{Ifname: "va", TxChunks: 8, BindTimeout: time.Hour})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("with a deadline: %v after %v", err, time.Since(start))
	}
	put(t, first, 0, frame(60, 0))
	if e := first.Kick(); e != 0 {
		t.Errorf("the holder of the queue: kick: %v", e)
	}
}

func TestQueueWithMoreRxThanTx(t *testing.T) {
	l := newLab(t, 1, 2)
	for _, state := range []string{"up", "down"} {
		if state == "down" {
			l.down(l.va)
		}
		_, err := Open(Options{Ifname: "va", Queue: 1, TxChunks: 8})
		if !errors.Is(err, ErrNoTxQueue) {
			t.Errorf("link %s: queue 1 of 1 TX and 2 RX queues: %v", state, err)
		}
		t.Logf("link %s: %v", state, err)
	}
	// More allocated than in use: only the driver knows.
	l2 := newLab(t, 4, 4)
	for _, state := range []string{"up", "down"} {
		if state == "down" {
			l2.down(l2.va)
		}
		i := must(Inspect("va"))(t)
		if i.TxQueues.N != 4 || !i.TxQueues.Exact || i.RxQueues.N != 4 {
			t.Errorf("link %s: TX queues %+v, RX queues %+v, want 4 each", state, i.TxQueues, i.RxQueues)
		}
	}
}

func TestInterfaceByIndex(t *testing.T) {
	l := newLab(t, 1, 1)
	index := l.va.Attrs().Index
	s, err := Open(Options{IfIndex: index, TxChunks: 8})
	if err != nil {
		t.Fatal(err)
	}
	if s.Granted().Ifname != "va" {
		t.Errorf("granted %+v", s.Granted())
	}
	s.Close()
	if _, err := Open(Options{IfIndex: index, Ifname: "vb", TxChunks: 8}); err == nil || !strings.Contains(err.Error(), "vb is interface") {
		t.Errorf("name and index that differ: %v", err)
	}
	if _, err := Open(Options{IfIndex: 9999, TxChunks: 8}); !errors.Is(err, unix.ENODEV) {
		t.Errorf("an index that does not exist: %v", err)
	}
}

// Upper devices take copy mode and refuse zero-copy.
func TestLoopbackAndBridge(t *testing.T) {
	newLab(t, 1, 1)
	br := &netlink.Bridge{LinkAttrs: netlink.NewLinkAttrs()}
	br.Name = "br0"
	if err := netlink.LinkAdd(br); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lo", "br0"} {
		if err := netlink.LinkSetUp(must(netlink.LinkByName(name))(t)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Ifname: name, TxChunks: 8})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Granted().Mode != ModeCopy {
			t.Errorf("%s: %+v", name, s.Granted())
		}
		s.Close()
		if _, err := Open(Options{Ifname: name, Mode: ModeZeroCopy, TxChunks: 8}); !errors.Is(err, unix.EOPNOTSUPP) {
			t.Errorf("%s zero-copy: %v", name, err)
		}
	}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: nothing for 5 s", what)
		}
	}
}
