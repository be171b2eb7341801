// SPDX-License-Identifier: Apache-2.0

package account

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Tag is what a datagram says of itself, at the front of its payload.
type Tag struct {
	// Run tells this run from others on the same machine.
	Run uint64
	// Flow is the sender's number, Seq counts from 0 within it.
	Flow uint32
	Seq  uint64
}

// TagLen is the least length of a payload. Run comes first, so that a tracer finds it by its value.
const TagLen = 8 + 4 + 8 + 2 + 4

// Errors of ParseTag.
var (
	ErrForeign = errors.New("payload is none of this run")
	ErrDamaged = errors.New("payload is not what was sent")
)

// Append appends a payload of the given length, at least TagLen, whose bytes follow from the tag.
func (t Tag) Append(b []byte, length int) []byte {
	at := len(b)
	b = binary.LittleEndian.AppendUint64(b, t.Run)
	b = binary.LittleEndian.AppendUint32(b, t.Flow)
	b = binary.LittleEndian.AppendUint64(b, t.Seq)
	b = binary.LittleEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0, 0, 0)
	x := t.Seq*0x9e3779b97f4a7c15 + uint64(t.Flow)
	for len(b)-at < length {
		x = x*6364136223846793005 + 1442695040888963407
		b = append(b, byte(x>>56))
	}
	binary.LittleEndian.PutUint32(b[at+TagLen-4:], tagSum(b[at:]))
	return b
}

// tagSum covers all of a payload but the sum itself.
func tagSum(b []byte) uint32 {
	sum := crc32.ChecksumIEEE(b[:TagLen-4])
	return crc32.Update(sum, crc32.IEEETable, b[TagLen:])
}

// ReadTag reads the tag of a payload of which only the front is there, and does not look at the sum.
func ReadTag(b []byte) (Tag, bool) {
	if len(b) < TagLen {
		return Tag{}, false
	}
	return Tag{
		Run:  binary.LittleEndian.Uint64(b),
		Flow: binary.LittleEndian.Uint32(b[8:]),
		Seq:  binary.LittleEndian.Uint64(b[12:]),
	}, true
}

// ParseTag reads a whole payload of a run. ErrForeign is not ours; ErrDamaged is ours, but not what was sent.
func ParseTag(b []byte, run uint64) (Tag, error) {
	t, ok := ReadTag(b)
	if !ok || t.Run != run {
		return t, ErrForeign
	}
	if int(binary.LittleEndian.Uint16(b[20:])) != len(b) || binary.LittleEndian.Uint32(b[TagLen-4:]) != tagSum(b) {
		return t, ErrDamaged
	}
	return t, nil
}
