// SPDX-License-Identifier: Apache-2.0

package stamp

import "encoding/binary"

// Pings have stamps with a magic of their own, and whoever answers one writes another over it. So an answer is never
// taken for a ping, whoever it comes to, and neither for a packet of blast.
const (
	pingMagic   = 0xD7A6
	answerMagic = 0xD7A7
)

// PutPing writes the stamp of a ping into the first Size bytes of b.
func (s Stamp) PutPing(b []byte) {
	s.Put(b)
	binary.BigEndian.PutUint16(b, pingMagic)
}

// IsPing is whether b begins with the stamp of a ping.
func IsPing(b []byte) bool { return begins(b, pingMagic) }

// IsAnswer is whether b begins with the stamp of an answer.
func IsAnswer(b []byte) bool { return begins(b, answerMagic) }

func begins(b []byte, magic uint16) bool {
	return len(b) >= Size && binary.BigEndian.Uint16(b) == magic
}

// MakeAnswer turns a ping, of which IsPing is true, into its answer. Nothing but the magic changes.
func MakeAnswer(b []byte) { binary.BigEndian.PutUint16(b, answerMagic) }

// ParsePing reads the stamp of a ping. ok is whether there is one.
func ParsePing(b []byte) (s Stamp, ok bool) {
	if !IsPing(b) {
		return s, false
	}
	return fields(b)
}

// ParseAnswer reads the stamp of an answer. ok is whether there is one.
func ParseAnswer(b []byte) (s Stamp, ok bool) {
	if !IsAnswer(b) {
		return s, false
	}
	return fields(b)
}
