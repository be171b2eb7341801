// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestGrantedOnVeth(t *testing.T) {
	l := newLab(t, 2, 2)
	s := l.open(Options{Queue: 1})
	g := s.Granted()
	if g.Mode != ModeCopy || !errors.Is(g.FallbackReason, unix.EOPNOTSUPP) || g.Ifname != "va" ||
		g.IfIndex != l.va.Attrs().Index || g.Queue != 1 {
		t.Errorf("granted %+v", g)
	}
	if g.TxQueues.N != 2 || g.TxQueues.Exact != (vethTellsChannels(t) || kernelAtLeast(t, "6.8")) {
		t.Errorf("TX queues %+v", g.TxQueues)
	}
	if want := uint32(64); kernelAtLeast(t, "6.17") && g.TxBudget != want {
		t.Errorf("budget %d, want %d", g.TxBudget, want)
	}
	if g.SndBuf < 212992 {
		t.Errorf("send buffer %d: not raised", g.SndBuf)
	}
	if flags := must(unix.GetsockoptInt(s.FD(), unix.SOL_XDP, unix.XDP_OPTIONS))(t); flags != 0 {
		t.Errorf("XDP_OPTIONS %#x for %v", flags, g.Mode)
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

// vethTellsChannels reports whether this kernel's veth answers ethtool -l, which that of 5.10 does not. There is a va.
func vethTellsChannels(t *testing.T) bool {
	t.Helper()
	e := must(ethtool.NewEthtool())(t)
	defer e.Close()
	_, err := e.GetChannels("va")
	return err == nil
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
	if _, err := Open(Options{IfIndex: index, Ifname: "vb", TxChunks: 8}); err == nil ||
		!strings.Contains(err.Error(), "vb is interface") {
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
