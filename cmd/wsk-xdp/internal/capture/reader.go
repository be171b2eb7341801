// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Reader reads the records of one file after the other. It is for one goroutine.
type Reader struct {
	in       source
	format   string
	old      oldFile
	sections sections
}

// NewReader reads the beginning of a file, and says in its error what a file that is none should be instead.
func NewReader(r io.Reader) (*Reader, error) {
	out := &Reader{in: source{in: bufio.NewReaderSize(r, buffered), scratch: make([]byte, 4<<10)}}
	return out, out.begin()
}

// Reset begins anew with another file, or the same.
func (r *Reader) Reset(in io.Reader) error {
	r.in.in.Reset(in)
	r.in.at = 0
	return r.begin()
}

// The formats.
const (
	formatOld = "pcap"
	formatNew = "pcapng"
)

// Format is "pcap" or "pcapng".
func (r *Reader) Format() string { return r.format }

// Next returns the next record, io.EOF behind the last one, or what is wrong with the file; see ErrEnds.
func (r *Reader) Next() (rec Record, err error) {
	switch r.format {
	case formatOld:
		rec, err = r.old.next(&r.in)
	case formatNew:
		rec, err = r.sections.next(&r.in)
	default:
		err = io.EOF
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("at byte %d: %w", r.in.at, err)
	}
	return rec, err
}

// The first four bytes of files, read as a big-endian number.
const (
	magicMicro        = 0xa1b2c3d4
	magicMicroSwapped = 0xd4c3b2a1
	magicNano         = 0xa1b23c4d
	magicNanoSwapped  = 0x4d3cb2a1
	magicGzip         = 0x1f8b // the first two
	magicZstd         = 0x28b52ffd
)

func (r *Reader) begin() error {
	r.format = ""
	first, err := r.in.in.Peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	magic := uint32(0)
	if len(first) == 4 {
		magic = binary.BigEndian.Uint32(first)
	}
	order := binary.ByteOrder(binary.BigEndian)
	switch {
	case len(first) == 0:
		return errors.New("is empty")
	case magic == magicSection:
		r.format, r.sections = formatNew, sections{ifaces: r.sections.ifaces[:0]}
		return nil
	case magic == magicMicro || magic == magicNano:
	case magic == magicMicroSwapped || magic == magicNanoSwapped:
		order = binary.LittleEndian
	case magic>>16 == magicGzip || magic == magicZstd:
		return errors.New("is compressed: unpack it first (gunzip, unzstd)")
	default:
		return errors.New("is no capture file: neither pcap nor pcapng, which tcpdump -w and Wireshark write")
	}
	r.old = oldFile{order: order, fraction: uint64(time.Microsecond)}
	if magic == magicNano || magic == magicNanoSwapped {
		r.old.fraction = 1
	}
	err = r.old.begin(&r.in)
	if err == nil {
		r.format = formatOld
	}
	return err
}
