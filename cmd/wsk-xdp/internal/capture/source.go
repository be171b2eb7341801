// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// MaxRecord is the most bytes of a record: the longest that tcpdump and Wireshark write or read.
const MaxRecord = 256 << 10

// buffered is how much is read at once.
const buffered = 64 << 10

// Record is one packet of a file, as it was captured.
type Record struct {
	// Data is what was captured, without a frame check sequence. It is valid until the next call of Next.
	Data []byte
	// Length is how long the packet was on the wire, in the same count; more than len(Data) where the capture cut it.
	Length int
	// At is when, since 1970; Timed is whether the file says so at all.
	At    time.Duration
	Timed bool
	// Link is the LINKTYPE of the interface it was captured on.
	Link Link
}

// Cut is whether the end of the packet is missing.
func (r *Record) Cut() bool { return len(r.Data) < r.Length }

// ErrEnds is wrapped by the error of a file that ends within a record, as that of a program that was killed does.
var ErrEnds = errors.New("the file ends within a record")

// errDamaged begins the error of a file that can't be as it is.
var errDamaged = errors.New("the file is damaged")

// source is the bytes of a file.
type source struct {
	in      *bufio.Reader
	scratch []byte // of the record, grown as needed
	at      int64  // where in the file the next byte is
}

// read returns the next n bytes, MaxRecord at most, which are valid until the next call.
func (s *source) read(n int) ([]byte, error) {
	if n > len(s.scratch) {
		s.scratch = make([]byte, MaxRecord)
	}
	got, err := io.ReadFull(s.in, s.scratch[:n])
	s.at += int64(got)
	return s.scratch[:n], ends(err)
}

// skip passes over n bytes.
func (s *source) skip(n int) error {
	got, err := s.in.Discard(n)
	s.at += int64(got)
	return ends(err)
}

// more is whether the file goes on.
func (s *source) more() error {
	_, err := s.in.Peek(1)
	return err
}

// ends turns the end of the file where there must be more into ErrEnds.
func ends(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrEnds
	}
	return err
}

// checkLengths refuses what no program writes.
func checkLengths(captured, wire uint32) error {
	switch {
	case captured > MaxRecord:
		return fmt.Errorf("%w: a record of %d bytes is more than %d", errDamaged, captured, MaxRecord)
	case captured > wire:
		return fmt.Errorf("%w: %d bytes were captured of a packet of %d", errDamaged, captured, wire)
	}
	return nil
}

// record puts one together; fcs bytes of check sequence are at the end of the packet.
func record(data []byte, wire uint32, fcs int, link Link) Record {
	length := int(wire) - min(fcs, int(wire))
	return Record{Data: data[:min(len(data), length)], Length: length, Link: link}
}

// since1970 is a time of seconds and nanoseconds, as far as it can be said.
func since1970(seconds, nanos uint64) time.Duration {
	const most = math.MaxInt64/uint64(time.Second) - 5
	if seconds > most {
		return math.MaxInt64
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos)
}
