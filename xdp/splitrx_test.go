// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// poll reports what poll(2) says of a descriptor at once.
func poll(t *testing.T, fd int) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		switch _, err := unix.Poll(fds, 0); err {
		case nil:
			return fds[0].Revents
		case unix.EINTR: // the run-time's signals
		default:
			t.Fatal(err)
		}
	}
}

// Waiting for frames must not transmit: the errno of that transmission, which says what was dropped, would be nobody's.
func TestPollOfSplitRXDoesNotTransmit(t *testing.T) {
	l := newLab(t, 1, 1)
	r := l.listen()
	s := l.open(Options{Mode: ModeCopy, TxChunks: 8, RxChunks: 8, SplitRX: true})
	put(t, s, 0, frame(60, 1))
	if got := poll(t, s.RXFD()); got != 0 {
		t.Errorf("poll of an empty RX ring: %#x", got)
	}
	r.none()
	if n := s.TX().Pending(); n != 1 {
		t.Errorf("%d descriptors wait after the poll of the RX socket, want 1", n)
	}
	poll(t, s.FD()) // the trap itself
	if n := s.TX().Pending(); n != 0 {
		t.Errorf("poll of the TX socket left %d descriptors: this kernel does not transmit in poll, SplitRX is not needed", n)
	}
	r.next()
	if e := s.WakeRX(); e != 0 {
		t.Errorf("wake: %v", e)
	}
	if _, err := s.Statistics(); err != nil {
		t.Error(err)
	}
}

// Both sockets let go of the queue, with and without Detach.
func TestRebindSplit(t *testing.T) {
	l := newLab(t, 1, 1)
	rings := ringMappings(t)
	for i := range 10 {
		s := l.open(Options{Mode: ModeCopy, TxChunks: 8, RxChunks: 8, SplitRX: true})
		chunk := s.UMEM().Chunk(s.UMEM().Addr(9))
		if i%2 == 0 {
			if err := s.Detach(); err != nil {
				t.Fatal(err)
			}
			chunk[0] = 7 // still mapped
			if s.FD() != -1 || s.RXFD() != -1 || s.UMEM().Chunk(0) != nil {
				t.Error("a detached socket still shows memory or a descriptor")
			}
			defer s.Close()
			continue
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := ringMappings(t); n != rings {
		t.Errorf("%d mappings of rings are left", n-rings)
	}
}

func TestDetachKeepsTheUMEM(t *testing.T) {
	k := newScripted()
	s, err := openScripted(k, Options{Mode: ModeCopy, RxChunks: 4, SplitRX: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Detach(); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.fds) != 0 || len(k.maps) != 1 {
		t.Errorf("%d descriptors and %d mappings after Detach, want 0 and the UMEM's", len(k.fds), len(k.maps))
	}
	if e := s.Kick(); e != unix.EBADF {
		t.Errorf("kick after detach: %v", e)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	k.checkNothingLeft(t)
	k.checkTearDownOrder(t)
}
