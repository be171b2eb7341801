// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"net/netip"
	"time"
)

// TB is the part of testing.TB that the wrappers need. Naming it here keeps package testing out of programs that use
// testenv.
type TB interface {
	Helper()
	Name() string
	Failed() bool
	Cleanup(func())
	Log(args ...any)
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// closer fails the test on an error and closes v at the test's end.
func closer[T interface{ Close() error }](t TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Errorf("close %T: %v", v, err)
		}
	})
	return v
}

// The functions below are those without T, for tests: they end the test on an error and close at its end.

// NewNamespaceT is NewNamespace for tests.
func NewNamespaceT(t TB) *Namespace {
	t.Helper()
	ns, err := NewNamespace()
	return closer(t, ns, err)
}

// NewLabT is NewLab for tests.
func NewLabT(t TB, top Topology) *Lab {
	t.Helper()
	l, err := NewLab(top)
	return closer(t, l, err)
}

// NewUDPReceiverT is NewUDPReceiver for tests.
func NewUDPReceiverT(t TB, ns *Namespace, local netip.AddrPort, opts UDPReceiverOptions) *UDPReceiver {
	t.Helper()
	r, err := NewUDPReceiver(ns, local, opts)
	return closer(t, r, err)
}

// NewUDPSenderT is NewUDPSender for tests.
func NewUDPSenderT(t TB, ns *Namespace, opts UDPSenderOptions) *UDPSender {
	t.Helper()
	s, err := NewUDPSender(ns, opts)
	return closer(t, s, err)
}

// NewCaptureT is NewCapture for tests.
func NewCaptureT(t TB, i *Iface, opts CaptureOptions) *Capture {
	t.Helper()
	c, err := NewCapture(i, opts)
	return closer(t, c, err)
}

// NewXDPPeerT is NewXDPPeer for tests.
func NewXDPPeerT(t TB, i *Iface, opts XDPPeerOptions) *XDPPeer {
	t.Helper()
	p, err := NewXDPPeer(i, opts)
	return closer(t, p, err)
}

// NewDropCounterT is NewDropCounter for tests.
func NewDropCounterT(t TB, i *Iface, opts DropCounterOptions) *DropCounter {
	t.Helper()
	c, err := NewDropCounter(i, opts)
	return closer(t, c, err)
}

// HoldReceiveT is Iface.HoldReceive for tests; what is still held at the end is dropped.
func HoldReceiveT(t TB, rx, tx *Iface) *Hold {
	t.Helper()
	h, err := rx.HoldReceive(tx)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := h.Drop(); err != nil {
			t.Errorf("%v", err)
		}
	})
	return h
}

// Eventually polls a condition for at most d (see Patience) and ends the test if it does not come to hold. Where an
// event announces the condition, wait for the event instead.
func Eventually(t TB, d time.Duration, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience(d))
	defer cancel()
	if err := Poll(ctx, what, func() (bool, error) { return cond(), nil }); err != nil {
		t.Fatalf("%v", err)
	}
}

// Context returns a context that ends after d (see Patience) or with the test.
func Context(t TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience(d))
	t.Cleanup(cancel)
	return ctx
}
