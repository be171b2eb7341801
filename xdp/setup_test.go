// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

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
		"zero-copy": {Mode: ModeZeroCopy, RxChunks: 16, NoRX: true},
		"split":     {Mode: ModeCopy, RxChunks: 16, SplitRX: true},
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
				if !errors.As(err, &op) || !errors.Is(err, errInjected) && !isStep(err, opServe) || op.Op == "" {
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
		mode == ModeAuto && (call == "bind" || call == "kick") || // copy mode follows
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
	if g := s.Granted(); g.Mode != ModeCopy || !g.NeedWakeup || g.SndBuf != 2*64*2560 || g.Ifname != "fake0" ||
		g.IfIndex != 7 {
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
	var pending uint32
	k.binds = func(int, *unix.SockaddrXDP) error {
		pending = binary.NativeEndian.Uint32(k.fillRing) // the producer comes first
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

func TestQueueWithoutTxSideIsRefused(t *testing.T) {
	k := newScripted()
	for q, ok := range map[uint32]bool{0: true, 1: true, 2: false, 1<<32 - 1: false} {
		s, err := openScripted(k, Options{Queue: q})
		if ok != (err == nil) || err != nil && (!errors.Is(err, ErrNoTxQueue) || !strings.Contains(err.Error(),
			"fake0 has 2 (test)")) {
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
	raw := unix.XDPStatistics{Rx_dropped: 1, Rx_invalid_descs: 2, Tx_invalid_descs: 3, Rx_ring_full: 4,
		Rx_fill_ring_empty_descs: 5, Tx_ring_empty_descs: 6}
	if got, want := statisticsOf(raw, 48), (Statistics{1, 2, 3, 4, 5, 6, 2}); got != want {
		t.Errorf("v2 %+v, want %+v", got, want)
	}
	raw.Rx_ring_full, raw.Rx_fill_ring_empty_descs, raw.Tx_ring_empty_descs = 0, 0, 0
	if got, want := statisticsOf(raw, 24), (Statistics{1, 2, 3, 0, 0, 0, 1}); got != want {
		t.Errorf("v1 %+v, want %+v", got, want)
	}
}
