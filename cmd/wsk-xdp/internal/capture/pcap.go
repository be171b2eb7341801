// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"encoding/binary"
	"fmt"
)

// oldFile is what the header of a pcap file says (draft-ietf-opsawg-pcap).
type oldFile struct {
	order    binary.ByteOrder
	fraction uint64 // nanoseconds that the fraction of a second counts
	link     Link
	fcs      int // bytes of check sequence at the end of each packet
}

// Sizes of the headers, and the flag in the field of the link type that the bits above say how long an FCS is.
const (
	oldHeader       = 24
	oldRecordHeader = 16
	fcsKnown        = 1 << 26
)

func (f *oldFile) begin(in *source) error {
	b, err := in.read(oldHeader)
	if err != nil {
		return err
	}
	if major, minor := f.order.Uint16(b[4:]), f.order.Uint16(b[6:]); major != 2 || minor != 4 {
		return fmt.Errorf("is of pcap version %d.%d: only 2.4 is read, which every program of today writes (tcpdump -r OLD -w NEW)", major, minor)
	}
	link := f.order.Uint32(b[20:])
	f.link, f.fcs = Link(link), 0
	if link&fcsKnown != 0 {
		f.fcs = int(link>>28) * 2 // it counts 16 bits
	}
	return nil
}

// next reads a record.
func (f *oldFile) next(in *source) (Record, error) {
	if err := in.more(); err != nil {
		return Record{}, err
	}
	b, err := in.read(oldRecordHeader)
	if err != nil {
		return Record{}, err
	}
	seconds, fraction := uint64(f.order.Uint32(b)), uint64(f.order.Uint32(b[4:]))
	captured, wire := f.order.Uint32(b[8:]), f.order.Uint32(b[12:])
	if err := checkLengths(captured, wire); err != nil {
		return Record{}, err
	}
	data, err := in.read(int(captured))
	if err != nil {
		return Record{}, err
	}
	rec := record(data, wire, f.fcs, f.link)
	rec.At, rec.Timed = since1970(seconds, fraction*f.fraction), true
	return rec, nil
}
