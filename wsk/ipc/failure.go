// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// MaxText is the largest text of a Failure in bytes.
const MaxText = 256

// Failure is the body of every reply whose status is not 0, and of the notifications DEAD (the socket can never send
// again) and ERROR (the session ends):
//
//	0 u32 reason · 4 u32 n · 8 n bytes of UTF-8
type Failure struct {
	Reason Reason // may be one of a later version, or ReasonNone
	Text   string // for people: UTF-8 without control characters
}

// Append appends the body. A text that is too long is cut between two characters; what may not be in one is replaced.
func (m *Failure) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(m.Reason))
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, r := range m.Text {
		if unicode.IsControl(r) {
			r = utf8.RuneError
		}
		if len(b)-at-4+utf8.RuneLen(r) > MaxText {
			break
		}
		b = utf8.AppendRune(b, r)
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// Decode reads the body; t is the type of the message.
func (m *Failure) Decode(t Type, body []byte) error {
	if len(body) < 8 || len(body) > 8+MaxText || binary.LittleEndian.Uint32(body[4:]) != uint32(len(body)-8) {
		return violation(ReasonBounds, t, "the text of a failure has at most 256 bytes, and is all that follows")
	}
	text := body[8:]
	if !utf8.Valid(text) {
		return violation(ReasonMessage, t, "the text of a failure is UTF-8 without control characters")
	}
	m.Reason, m.Text = Reason(binary.LittleEndian.Uint32(body)), string(text)
	for _, r := range m.Text {
		if unicode.IsControl(r) {
			return violation(ReasonMessage, t, "the text of a failure is UTF-8 without control characters")
		}
	}
	return nil
}
