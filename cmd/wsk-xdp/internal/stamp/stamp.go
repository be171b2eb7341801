// SPDX-License-Identifier: Apache-2.0

// Package stamp is what blast writes at the beginning of each payload and recv reads there: 18 bytes, which is what a
// frame of 64 bytes has room for over IPv4.
//
//	magic 2 · run 2 · stream 2 · sequence 6 · time 6        big-endian
//
// A run is one of blast; it has up to Streams streams, each numbered from 0. The time is that of a Clock, of which
// 48 bits are left: 78 hours.
package stamp

import "encoding/binary"

// Size is how many bytes a stamp takes.
const Size = 18

// Streams is how many streams a run may have: flow n is of stream n modulo Streams.
const Streams = 1024

// Mask is what a sequence number and a time have room for.
const Mask = 1<<48 - 1

const magic = 0xD7A5

// Stamp is one, read or to be written.
type Stamp struct {
	Run, Stream    uint16
	Sequence, Time uint64 // 48 bits
}

// Put writes the stamp into the first Size bytes of b.
func (s Stamp) Put(b []byte) {
	_ = b[Size-1]
	binary.BigEndian.PutUint16(b, magic)
	binary.BigEndian.PutUint16(b[2:], s.Run)
	binary.BigEndian.PutUint32(b[4:], uint32(s.Stream)<<16|uint32(s.Sequence>>32)&0xffff)
	binary.BigEndian.PutUint32(b[8:], uint32(s.Sequence))
	binary.BigEndian.PutUint16(b[12:], uint16(s.Time>>32))
	binary.BigEndian.PutUint32(b[14:], uint32(s.Time))
}

// Parse reads a stamp. ok is whether there is one: bytes that begin like one and name a stream that there can be.
func Parse(b []byte) (s Stamp, ok bool) {
	if len(b) < Size || binary.BigEndian.Uint16(b) != magic {
		return s, false
	}
	return fields(b)
}

// fields reads what is behind the magic.
func fields(b []byte) (s Stamp, ok bool) {
	s.Run, s.Stream = binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:])
	s.Sequence = binary.BigEndian.Uint64(b[4:]) & Mask
	s.Time = binary.BigEndian.Uint64(b[10:]) & Mask
	return s, s.Stream < Streams
}

// Since is how many nanoseconds lie between two times, now the later one. More than half of what 48 bits hold is taken
// for a time before: 0.
func Since(now, then uint64) uint64 {
	d := (now - then) & Mask
	if d > Mask/2 {
		return 0
	}
	return d
}

// PktgenSize is how many bytes the header of the kernel's generator takes, which other programs read.
const PktgenSize = 16

const pktgenMagic = 0xbe9be955

// PutPktgen writes such a header: 32 bits of a sequence number, and the time since 1970.
func PutPktgen(b []byte, sequence uint32, seconds int64, micros int) {
	_ = b[PktgenSize-1]
	binary.BigEndian.PutUint32(b, pktgenMagic)
	binary.BigEndian.PutUint32(b[4:], sequence)
	binary.BigEndian.PutUint32(b[8:], uint32(seconds))
	binary.BigEndian.PutUint32(b[12:], uint32(micros))
}
