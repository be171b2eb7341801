// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A probe that says no on a kernel that should have the feature is broken, and so is one that says yes on a kernel
// that is too old.
func TestProbesAgreeWithTheKernel(t *testing.T) {
	newLab(t, 2, 2)
	for _, c := range []struct {
		name  string
		since string // by the kernel's history
		tried string // by docs/kernels.md
		probe func() error
	}{
		{"AF_XDP", "4.18", "5.10", ProbeAFXDP},
		{"TX metadata", "6.11", "6.12", ProbeTxMetadata},
		{"TX budget", "6.17", "6.18", ProbeTxBudget},
		{"busy poll", "5.11", "6.1", ProbeBusyPoll},
		{"multi-buffer", "6.6", "6.12", func() error { return ProbeMultiBuffer("va", 0) }},
		{"ring re-map", "6.4", "6.12", func() error { return ProbeRemap("va", 1) }},
	} {
		err := c.probe()
		want := AnswerNo
		if kernelAtLeast(t, c.since) {
			want = AnswerYes
		}
		if got := AnswerOf(err); got != want {
			t.Errorf("%s: %v (%v), want %v: it came with Linux %s", c.name, got, err, want, c.since)
		}
		var f *FeatureError
		if err != nil && (!errors.As(err, &f) || f.MinKernel != c.tried) {
			t.Errorf("%s: %v names no kernel, want %s", c.name, err, c.tried)
		}
	}
}

// A probe of a bind closes what it opened and nothing else: the scripted kernel panics when a foreign descriptor is closed.
func TestProbeBindClosesItsOwn(t *testing.T) {
	for failAt := range 16 {
		k := newScripted()
		k.failAt, k.fail = failAt, unix.EIO
		probeBind(k, "fake0", 0, ModeCopy, unix.XDP_USE_SG, nil)
		k.checkNothingLeft(t)
		k = newScripted()
		k.failAt, k.fail = failAt, unix.EIO
		probeRemap(k, "fake0", 0)
		k.checkNothingLeft(t)
	}
}

func TestProbeZeroCopy(t *testing.T) {
	l := newLab(t, 1, 1)
	if err := ProbeZeroCopy("va", 0); AnswerOf(err) != AnswerNo {
		t.Errorf("zero-copy on veth: %v", err)
	}
	l.open(Options{TxChunks: 8})
	if err := ProbeZeroCopy("va", 0); AnswerOf(err) != AnswerUnknown || !errors.Is(err, unix.EBUSY) {
		t.Errorf("zero-copy on a queue that is taken: %v", err)
	}
	if err := ProbeZeroCopy("nowhere", 0); AnswerOf(err) != AnswerUnknown || !errors.Is(err, unix.ENODEV) {
		t.Errorf("zero-copy on no interface: %v", err)
	}
}

func TestInspect(t *testing.T) {
	l := newLab(t, 2, 2)
	l.open(Options{Queue: 1, TxChunks: 8})
	i := must(Inspect("va"))(t)
	if i.Name != "va" || i.Index != l.va.Attrs().Index || i.Type != "veth" || i.MTU != 1500 || !i.Up ||
		i.Driver != "veth" {
		t.Errorf("facts %+v", i)
	}
	if i.TxQueues.N != 2 || i.RxQueues.N != 2 {
		t.Errorf("queues %+v %+v", i.TxQueues, i.RxQueues)
	}
	if i.HardwareRingsErr != nil && AnswerOf(i.HardwareRingsErr) != AnswerNo {
		t.Errorf("ring sizes: %v", i.HardwareRingsErr)
	}
	if kernelAtLeast(t, "6.3") {
		if i.DeviceErr != nil || !i.Device.XDP.Native() || i.Device.XDP.ZeroCopy() {
			t.Errorf("features %v, %v", i.Device.XDP, i.DeviceErr)
		}
	} else if AnswerOf(i.DeviceErr) != AnswerNo {
		t.Errorf("netdev-genl on an old kernel: %v", i.DeviceErr)
	}
	if kernelAtLeast(t, "6.16") {
		taken := map[NetdevQueue]bool{}
		for _, q := range i.Queues {
			taken[q] = true
		}
		for _, want := range []NetdevQueue{{0, true, false}, {1, true, true}, {0, false, false}, {1, false, true}} {
			if !taken[want] {
				t.Errorf("queues %+v, %v: want %+v", i.Queues, i.QueuesErr, want)
			}
		}
	}
	if _, err := Inspect("nowhere"); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("no such interface: %v", err)
	}
}

func TestProbesWithoutAKernel(t *testing.T) {
	remap := func(k kernel) error { return probeRemap(k, "fake0", 0) }
	for _, c := range []struct {
		name  string
		setUp func(*scripted)
		probe func(kernel) error
		want  Answer
	}{
		{"no AF_XDP", func(k *scripted) { k.errs["socket"] = unix.EAFNOSUPPORT }, probeAFXDP, AnswerNo},
		{"no permission", func(k *scripted) { k.errs["socket"] = unix.EPERM }, probeAFXDP, AnswerUnknown},
		{"AF_XDP", func(*scripted) {}, probeAFXDP, AnswerYes},
		{"budget", func(*scripted) {}, probeTxBudget, AnswerYes},
		{"no budget", func(k *scripted) { k.errs["set 283/9"] = unix.ENOPROTOOPT }, probeTxBudget, AnswerNo},
		{"budget unknown", func(k *scripted) { k.errs["set 283/9"] = unix.EPERM }, probeTxBudget, AnswerUnknown},
		{"no TX ring", func(k *scripted) { k.errs["set 283/3"] = unix.ENOMEM }, probeTxBudget, AnswerUnknown},
		{"busy poll", func(*scripted) {}, probeBusyPoll, AnswerYes},
		{"no busy poll", func(k *scripted) { k.errs["set 1/69"] = unix.ENOPROTOOPT }, probeBusyPoll, AnswerNo},
		{"metadata", func(*scripted) {}, probeTxMetadata, AnswerYes},
		{"no metadata", func(k *scripted) { k.failAt, k.fail = 3, unix.EINVAL }, probeTxMetadata, AnswerNo},
		{"every register refused", func(k *scripted) { k.errs["register"] = unix.EINVAL }, probeTxMetadata,
			AnswerUnknown},
		{"re-map", func(*scripted) {}, remap, AnswerYes},
		{"no re-map", func(k *scripted) { k.errs["map ring 0x80000000"] = unix.EBUSY }, remap, AnswerNo},
		{"re-map unknown", func(k *scripted) { k.errs["map ring 0x180000000"] = unix.ENOMEM }, remap, AnswerUnknown},
		{"metadata unknown", func(k *scripted) { k.errs["register"] = unix.ENOBUFS }, probeTxMetadata, AnswerUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newScripted()
			c.setUp(k)
			if err := c.probe(k); AnswerOf(err) != c.want {
				t.Errorf("%v, want %v", err, c.want)
			}
			k.checkNothingLeft(t)
		})
	}
}

func TestNetdevParsing(t *testing.T) {
	for _, msg := range [][]byte{nil, {1}, {1, 2, 3}, {10, 1, 0, 0, 200, 0, 1, 0}, {10, 1, 0, 0, 2, 0, 1, 0}} {
		if _, err := parseQueue(msg); err == nil {
			t.Errorf("%x parsed", msg)
		}
	}
	q, err := parseQueue([]byte{10, 1, 0, 0, 8, 0, 1, 0, 5, 0, 0, 0, 8, 0, 3, 0, 1, 0, 0, 0, 4, 0, 7, 0})
	if err != nil || q != (NetdevQueue{5, true, true}) {
		t.Errorf("%+v, %v", q, err)
	}
	if got := (XDPFeatures(1 | 1<<3 | 1<<40)).String(); got != "basic xsk-zerocopy bit-40" {
		t.Errorf("features %q", got)
	}
	if got := XSKFeatures(0).String(); got != "none" {
		t.Errorf("features %q", got)
	}
}

func TestNetlinkCollect(t *testing.T) {
	msg := func(kind uint16, seq uint32, data ...byte) syscall.NetlinkMessage {
		return syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind, Seq: seq}, Data: data}
	}
	eperm := []byte{0xff, 0xff, 0xff, 0xff} // −1
	for _, c := range []struct {
		name string
		msgs []syscall.NetlinkMessage
		n    int
		done bool
		err  error
	}{
		{"part of a dump", []syscall.NetlinkMessage{msg(30, 7, 1), msg(30, 7, 2)}, 2, false, nil},
		{"end of a dump", []syscall.NetlinkMessage{msg(30, 7, 1), msg(unix.NLMSG_DONE, 7, 0, 0, 0, 0)}, 1, true, nil},
		{"bare end", []syscall.NetlinkMessage{msg(unix.NLMSG_DONE, 7)}, 0, true, nil},
		{"dump that failed at its end", []syscall.NetlinkMessage{msg(30, 7, 1), msg(unix.NLMSG_DONE, 7,
			eperm...)}, 0, true, unix.EPERM},
		{"acknowledged", []syscall.NetlinkMessage{msg(30, 7, 1), msg(unix.NLMSG_ERROR, 7, 0, 0, 0, 0)}, 1, true, nil},
		{"refused", []syscall.NetlinkMessage{msg(unix.NLMSG_ERROR, 7, eperm...)}, 0, true, unix.EPERM},
		{"somebody else's", []syscall.NetlinkMessage{msg(unix.NLMSG_ERROR, 6, eperm...), msg(30, 8, 1)}, 0, false, nil},
	} {
		out, done, err := netlinkCollect(nil, c.msgs, 7)
		if len(out) != c.n || done != c.done || !errors.Is(err, c.err) {
			t.Errorf("%s: %d messages, done %v, %v", c.name, len(out), done, err)
		}
	}
}

// FuzzNetdev: an answer of any bytes is parsed or refused.
func FuzzNetdev(f *testing.F) {
	f.Add([]byte{10, 1, 0, 0, 8, 0, 1, 0, 5, 0, 0, 0, 8, 0, 3, 0, 1, 0, 0, 0, 4, 0, 7, 0})
	f.Add([]byte{1, 1, 0, 0, 12, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, msg []byte) {
		_, _ = parseQueue(msg)
		_, _ = parseDevice(msg)
	})
}
