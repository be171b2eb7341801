// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"errors"
	"net"
	"testing"
	"time"
)

// Run runs the suite. Connections of A are the ones that are judged; B is the other end and held to be right.
func Run(t *testing.T, h Hosts) {
	if h.MaxPayload == 0 {
		h.MaxPayload = 65507
		if !h.is4() {
			h.MaxPayload = 65527
		}
	}
	for _, tc := range []struct {
		name string
		test func(*testing.T, *Hosts)
	}{
		{"addresses", testAddresses},
		{"exchange", testExchange},
		{"sizes", testSizes},
		{"truncation", testTruncation},
		{"empty", testEmpty},
		{"dual-stack", testDualStack},
		{"self", testSelf},
		{"past-deadline", testPastDeadline},
		{"present-deadline", testPresentDeadline},
		{"future-deadline", testFutureDeadline},
		{"deadline-reset", testDeadlineReset},
		{"deadline-storm", testDeadlineStorm},
		{"close-blocked", testCloseBlocked},
		{"closed", testClosed},
		{"reopen", testReopen},
		{"racy-reads", testRacyReads},
		{"racy-writes", testRacyWrites},
		{"storm", testStorm},
		{"leak", testLeak},
		{"connected", testConnected},
		{"refused", testRefused},
		{"errors", testErrors},
		{"control-read", testControlRead},
		{"control-write", testControlWrite},
		{"control-truncation", testControlTruncation},
		{"control-invalid", testControlInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, &h) })
	}
}

// limit makes what is broken fail instead of hang.
func limit(t *testing.T, conns ...Conn) {
	t.Helper()
	for _, c := range conns {
		if err := c.SetDeadline(time.Now().Add(waitLimit)); err != nil {
			t.Fatal(err)
		}
	}
}

// isTimeout checks an error of a deadline in all the ways that programs do.
func isTimeout(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, errDeadline) {
		t.Errorf("%s: %v, want a deadline exceeded", what, err)
		return
	}
	var ne net.Error
	if !errors.As(err, &ne) || !ne.Timeout() {
		t.Errorf("%s: %v (%T) is no net.Error with Timeout", what, err, err)
	}
	isOpError(t, what, err)
}

func isClosed(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("%s: %v, want net.ErrClosed", what, err)
		return
	}
	isOpError(t, what, err)
}

func isOpError(t *testing.T, what string, err error) *net.OpError {
	t.Helper()
	op, ok := err.(*net.OpError)
	if !ok || op.Op == "" || op.Net == "" {
		t.Errorf("%s: %#v is no complete *net.OpError", what, err)
		return &net.OpError{}
	}
	return op
}

// within runs f and fails when it does not return.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(waitLimit):
		t.Fatalf("%s does not return", what)
	}
}
