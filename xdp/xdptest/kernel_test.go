// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdptest

import (
	"bytes"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp"
)

func newKernel(t *testing.T, c Config) *Kernel {
	t.Helper()
	k, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// send puts chunks into the TX ring, one byte of payload each: the chunk's index.
func send(t *testing.T, k *Kernel, chunks ...int) {
	t.Helper()
	for _, i := range chunks {
		addr := k.UMEM().Addr(i)
		k.UMEM().Chunk(addr)[0] = byte(i)
		idx, n := k.TX().Reserve(1)
		if n != 1 {
			t.Fatal("TX ring full")
		}
		k.TX().Set(idx, xdp.Desc{Addr: addr, Len: 60})
		k.TX().Submit(1)
	}
}

func completed(t *testing.T, k *Kernel) []int {
	t.Helper()
	out := []int{}
	first, n := k.Completion().Peek(1 << 20)
	for i := range n {
		index, ok := k.UMEM().CheckTx(k.Completion().At(first + i))
		if !ok {
			index = -1
		}
		out = append(out, index)
	}
	k.Completion().Release(n)
	return out
}

func TestFates(t *testing.T) {
	for _, c := range []struct {
		name      string
		plan      map[uint64]Fate
		errnos    []syscall.Errno // of the kicks, until nothing moves
		sent      []byte
		completed []int
	}{
		{"all-sent", nil, []syscall.Errno{0}, []byte{0, 1, 2, 3}, []int{0, 1, 2, 3}},
		{"second-dropped", map[uint64]Fate{1: Drop}, []syscall.Errno{unix.EBUSY, 0}, []byte{0, 2, 3}, []int{0,
			1, 2, 3}},
		{"last-dropped", map[uint64]Fate{3: Drop}, []syscall.Errno{unix.EBUSY, 0}, []byte{0, 1, 2}, []int{0, 1, 2, 3}},
		{"invalid", map[uint64]Fate{1: Invalid}, []syscall.Errno{0, 0}, []byte{0, 2, 3}, []int{0, 1, 2, 3}},
		{"lost", map[uint64]Fate{2: Lose}, []syscall.Errno{0}, []byte{0, 1, 2, 3}, []int{0, 1, 3}},
		{"twice", map[uint64]Fate{2: Twice}, []syscall.Errno{0}, []byte{0, 1, 2, 3}, []int{0, 1, 2, 2, 3}},
		{"held", map[uint64]Fate{0: Hold, 2: Hold}, []syscall.Errno{0}, []byte{0, 1, 2, 3}, []int{1, 3}},
		{"stalled", map[uint64]Fate{2: Stall}, []syscall.Errno{unix.EAGAIN, 0}, []byte{0, 1, 2, 3}, []int{0, 1, 2, 3}},
		{"refused", map[uint64]Fate{1: Refuse}, []syscall.Errno{unix.EINVAL, unix.EINVAL}, []byte{0}, []int{0}},
		{"wedged", map[uint64]Fate{1: Wedge}, []syscall.Errno{unix.EINVAL, unix.EINVAL}, []byte{0}, []int{0, 1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sent []byte
			k := newKernel(t, Config{TxChunks: 8, Start: 1<<32 - 2,
				OnSend: func(f []byte) { sent = append(sent, f[0]) }})
			for seq, f := range c.plan {
				k.Plan(seq, f)
			}
			send(t, k, 0, 1, 2, 3)
			for i, want := range c.errnos {
				if got := k.Kick(); got != want {
					t.Errorf("kick %d: %v, want %v", i, got, want)
				}
			}
			if !bytes.Equal(sent, c.sent) {
				t.Errorf("sent %v, want %v", sent, c.sent)
			}
			if got := completed(t, k); !slices.Equal(got, c.completed) {
				t.Errorf("completed %v, want %v", got, c.completed)
			}
		})
	}
}

func TestDropIsAttributed(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 8})
	k.Plan(2, Drop)
	send(t, k, 5, 6, 7, 1)
	if e := k.Kick(); e != unix.EBUSY {
		t.Fatal(e)
	}
	if got := k.TX().At(k.TX().Consumer() - 1).Addr; got != k.UMEM().Addr(7) {
		t.Errorf("dropped %#x, want chunk 7", got)
	}
}

func TestCompletionOrders(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 8})
	k.HoldCompletions(true)
	send(t, k, 0, 1, 2, 3, 4)
	if e := k.Kick(); e != 0 || k.Held() != 5 || len(completed(t, k)) != 0 {
		t.Fatalf("kick %v, %d held", e, k.Held())
	}
	if k.CompleteHeld(1, InOrder, 0) != 1 || k.CompleteHeld(2, Reverse, 0) != 2 {
		t.Error("wrong counts")
	}
	if got := completed(t, k); !slices.Equal(got, []int{0, 4, 3}) {
		t.Errorf("completed %v", got)
	}
	if k.LoseHeld(1) != 1 || k.CompleteHeld(-1, Random, 42) != 1 || k.Held() != 0 {
		t.Error("wrong counts")
	}
	k.HoldCompletions(false)
	if got := completed(t, k); len(got) != 1 {
		t.Errorf("completed %v, want one of the two that were left", got)
	}
	if !k.PostCompletion(1 << 40) {
		t.Error("no room for a foreign completion")
	}
	if got := completed(t, k); !slices.Equal(got, []int{-1}) {
		t.Errorf("completed %v, want a foreign one", got)
	}
}

func TestLimits(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 64, Budget: 3})
	send(t, k, 0, 1, 2, 3)
	if e := k.Kick(); e != unix.EAGAIN || k.TX().Pending() != 1 {
		t.Errorf("budget of 3: %v, %d pending", e, k.TX().Pending())
	}
	if e := k.Kick(); e != 0 || k.TX().Pending() != 0 {
		t.Errorf("the rest: %v", e)
	}

	k = newKernel(t, Config{TxChunks: 64, CompletionRing: 4})
	send(t, k, 0, 1, 2, 3, 4)
	for range 3 {
		if e := k.Kick(); e != unix.EAGAIN || k.TX().Pending() != 1 {
			t.Errorf("full completion ring: %v, %d pending", e, k.TX().Pending())
		}
	}
	completed(t, k)
	if e := k.Kick(); e != 0 {
		t.Errorf("after harvesting: %v", e)
	}

	k = newKernel(t, Config{TxChunks: 64, MaxHeld: 2})
	k.HoldCompletions(true)
	send(t, k, 0, 1, 2)
	if e := k.Kick(); e != unix.EAGAIN || k.Held() != 2 {
		t.Errorf("send buffer of 2: %v, %d held", e, k.Held())
	}
}

func TestDeviceStates(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 8})
	send(t, k, 0)
	k.SetUp(false)
	if e := k.Kick(); e != unix.ENETDOWN || k.TX().Pending() != 1 {
		t.Errorf("down: %v", e)
	}
	k.SetUp(true)
	k.SetCarrier(false)
	if e := k.Kick(); e != unix.EBUSY {
		t.Errorf("no carrier: %v", e)
	}
	k.SetCarrier(true)
	k.FailKicks(unix.ENOBUFS, unix.EINTR)
	for _, want := range []syscall.Errno{unix.ENOBUFS, unix.EINTR, 0} {
		if e := k.Kick(); e != want {
			t.Errorf("kick %v, want %v", e, want)
		}
	}
	k.Remove()
	if e := k.Kick(); e != unix.ENXIO {
		t.Errorf("removed: %v", e)
	}
	k.Close()
	if e := k.Kick(); e != unix.EBADF || !k.Closed() {
		t.Errorf("closed: %v", e)
	}
	c := k.Counters()
	if c.Kicks != 7 || c.ByResult[xdp.KickLimited] != 2 || c.ByResult[xdp.KickGone] != 2 {
		t.Errorf("counters %+v", c)
	}
}

func TestInvalidDescriptors(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 8})
	for _, d := range []xdp.Desc{{Addr: 1 << 40, Len: 60}, {Addr: 0, Len: 0}, {Addr: 2000, Len: 60}, {Addr: 0,
		Len: 60, Options: 4}} {
		idx, _ := k.TX().Reserve(1)
		k.TX().Set(idx, d)
		k.TX().Submit(1)
		if e := k.Kick(); e != 0 || k.TX().Pending() != 0 {
			t.Errorf("%+v: %v", d, e)
		}
	}
	if st, err := k.Statistics(); err != nil || st.TxInvalidDescs != 4 {
		t.Errorf("statistics %+v, %v", st, err)
	}
}

func TestReceive(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 2, RxChunks: 2, Headroom: 64, Start: 1<<32 - 1})
	if !k.Receive([]byte("one")) || !k.Receive([]byte("two")) {
		t.Fatal("no room for two frames in two chunks")
	}
	if k.Receive([]byte("three")) {
		t.Error("room for a third")
	}
	first, n := k.RX().Peek(10)
	if n != 2 || string(k.UMEM().Frame(k.RX().At(first))) != "one" ||
		string(k.UMEM().Frame(k.RX().At(first+1))) != "two" {
		t.Fatalf("%d frames", n)
	}
	index, ok := k.UMEM().Index(k.RX().At(first).Addr)
	if !ok || index != 2 {
		t.Errorf("frame in chunk %d", index)
	}
	k.RX().Release(2)
	slot, n := k.Fill().Reserve(1)
	k.Fill().Set(slot, k.UMEM().Addr(index))
	k.Fill().Submit(n)
	if !k.Receive(bytes.Repeat([]byte{1}, 2048-256-64)) {
		t.Error("no room for the longest frame")
	}
}

func TestAwakeNeedsNoKick(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 8, AlwaysAwake: true})
	send(t, k, 0)
	if _, kicked := k.KickIfNeeded(); kicked {
		t.Error("kicked")
	}
	k.Poll()
	if got := completed(t, k); !slices.Equal(got, []int{0}) || k.Counters().KicksSaved != 1 || k.Counters().Kicks != 0 {
		t.Errorf("completed %v, counters %+v", got, k.Counters())
	}
}

func TestKickDoesNotAllocate(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 8})
	allocs := testing.AllocsPerRun(500, func() {
		idx, n := k.TX().Reserve(1)
		k.TX().Set(idx, xdp.Desc{Addr: 0, Len: 60})
		k.TX().Submit(n)
		k.Kick()
		_, n = k.Completion().Peek(8)
		k.Completion().Release(n)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

// Metadata that nobody registered, or that make no sense, wedge the ring as on Linux 6.18.
func TestTxMetadata(t *testing.T) {
	for _, c := range []struct {
		name    string
		offload xdp.Offload
		request xdp.ChecksumRequest
		errno   syscall.Errno
		want    []byte // of the frame's last 4 bytes
	}{
		{"not-registered", xdp.OffloadNone, xdp.NewChecksumRequest(4, 2), unix.EINVAL, nil},
		{"beyond-the-frame", xdp.OffloadDriver, xdp.NewChecksumRequest(7, 0), unix.EINVAL, nil},
		{"nothing-asked", xdp.OffloadDriver, xdp.ChecksumRequest{}, 0, []byte{0, 1, 2, 3}},
		{"driver", xdp.OffloadDriver, xdp.NewChecksumRequest(4, 2), 0, []byte{0, 1, 0xfd, 0xfb}},
		{"kernel", xdp.OffloadKernel, xdp.NewChecksumRequest(4, 2), 0, []byte{0, 1, 0xfd, 0xfb}},
		{"partial", xdp.OffloadPartial, xdp.NewChecksumRequest(4, 2), 0, []byte{0, 1, 2, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var sent []byte
			k := newKernel(t, Config{Offload: c.offload, OnSend: func(f []byte) { sent = bytes.Clone(f[4:]) }})
			addr := k.UMEM().Addr(1)
			copy(k.UMEM().Chunk(addr), []byte{9, 9, 9, 9, 0, 1, 2, 3})
			c.request.Put((*[xdp.TxMetadataLen]byte)(k.UMEM().Chunk(addr - xdp.TxMetadataLen)))
			idx, _ := k.TX().Reserve(1)
			k.TX().Set(idx, xdp.Desc{Addr: addr, Len: 8, Options: xdp.DescTxMetadata})
			k.TX().Submit(1)
			if errno := k.Kick(); errno != c.errno || !bytes.Equal(sent, c.want) {
				t.Errorf("%v, sent %x; want %v, %x", errno, sent, c.errno, c.want)
			}
		})
	}
}

// TestClosed: the rings and the UMEM of a closed fake are as useless as those of a closed socket, also with two closes.
func TestClosed(t *testing.T) {
	k := newKernel(t, Config{TxChunks: 8, RxChunks: 8})
	tx := k.TX()
	if _, ok := tx.Put(xdp.Desc{Addr: 0, Len: 60}); !ok {
		t.Fatal("no room")
	}
	k.PostCompletion(0)
	k.Close()
	k.Close()
	if errno, kicked := k.KickIfNeeded(); errno != unix.EBADF || kicked {
		t.Errorf("kick: %v, %v", errno, kicked)
	}
	if _, n := tx.Reserve(1); n != 0 {
		t.Error("the TX ring has room")
	}
	if _, n := k.Completion().Peek(8); n != 0 {
		t.Error("there are completions")
	}
	if _, n := k.RX().Peek(8); n != 0 || k.Receive(make([]byte, 60)) {
		t.Error("there are frames")
	}
	if k.UMEM().Chunk(0) != nil {
		t.Error("there is memory")
	}
	defer func() {
		if recover() == nil {
			t.Error("what was reserved before can be published")
		}
	}()
	tx.Submit(1)
}
