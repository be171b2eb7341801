// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"fmt"
	"io"
	mathrand "math/rand/v2"
)

// block is sent again and again by trials that move more than it: memory for all of it, which grows and is collected, would
// take more of the processor than what carries it. Its length is a prime number, so that what is lost, doubled or in the wrong
// place does not fit.
var block = func() []byte {
	b := make([]byte, 1<<20+7)
	_, _ = mathrand.NewChaCha8([32]byte{1}).Read(b)
	return b
}()

// after is what a block has from a place in the stream on.
func after(at int) []byte { return block[at%len(block):] }

// source gives size bytes of blocks.
type source struct{ at, size int }

func (s *source) Read(b []byte) (int, error) {
	if s.at == s.size {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), s.size-s.at)], after(s.at))
	s.at += n
	return n, nil
}

// WriteTo has io.Copy take blocks from where they are.
func (s *source) WriteTo(w io.Writer) (n int64, err error) {
	for s.at < s.size && err == nil {
		piece := after(s.at)
		var wrote int
		wrote, err = w.Write(piece[:min(len(piece), s.size-s.at)])
		s.at += wrote
		n += int64(wrote)
	}
	return n, err
}

// sink takes what a source gives and nothing else. It calls f once, when at bytes have come, unless f is nil.
type sink struct {
	got, size int
	at        int
	f         func()
}

func (s *sink) Write(b []byte) (int, error) {
	before := s.got
	for rest := b; len(rest) > 0; {
		want := after(s.got)
		n := min(len(want), len(rest))
		if s.got+n > s.size || !bytes.Equal(rest[:n], want[:n]) {
			return len(b) - len(rest), fmt.Errorf("other bytes than were sent, or more, have come between %d and %d", s.got, s.got+n)
		}
		s.got += n
		rest = rest[n:]
	}
	if s.f != nil && before < s.at && s.got >= s.at {
		s.f()
	}
	return len(b), nil
}

// whole is an error until everything has come.
func (s *sink) whole() error {
	if s.got != s.size {
		return fmt.Errorf("%d of %d bytes came back", s.got, s.size)
	}
	return nil
}
