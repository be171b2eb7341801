// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
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

// A probe of a bind closes what it opened and nothing else: the scripted kernel panics when a foreign descriptor is
// closed.
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
