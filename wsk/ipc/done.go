// SPDX-License-Identifier: Apache-2.0

package ipc

import "encoding/binary"

// Completion is the end of an entry:
//
//	0 u32 id · 4 u32 status · 8 u32 bytes · 12 u32 reason
type Completion struct {
	ID     uint32
	Status uint32 // an NTSTATUS: 0 or a failure
	Bytes  uint32 // of the payload that have been sent; 0 in a failure
	Reason Reason // of a failure; may be ReasonNone
}

const completionSize = 16

// Done is a reply to SEND:
//
//	0 u32 count, 1 to 64 · 4 u32 left · 8 count × completion of 16 bytes
//
// The replies to one SEND, all with its sequence number, have each of its entries once, in any order. That is how an
// entry that waits, for a neighbour say, does not keep the others waiting. With the last reply, in which left is 0, the
// sequence number is free again.
type Done struct {
	Left        uint32 // entries of the SEND that are still under way, fewer than 64
	count       int
	completions [MaxBatch]Completion
}

// Reset makes it a reply without completions.
func (m *Done) Reset() { m.Left, m.count = 0, 0 }

// Add appends a completion. A SEND has no more than fit.
func (m *Done) Add(c Completion) {
	m.completions[m.count] = c
	m.count++
}

// Completions are those of the message, until the next Decode or Reset.
func (m *Done) Completions() []Completion { return m.completions[:m.count] }

// Append appends the body.
func (m *Done) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(m.count))
	b = binary.LittleEndian.AppendUint32(b, m.Left)
	for i := range m.Completions() {
		c := &m.completions[i]
		b = binary.LittleEndian.AppendUint32(b, c.ID)
		b = binary.LittleEndian.AppendUint32(b, c.Status)
		b = binary.LittleEndian.AppendUint32(b, c.Bytes)
		b = binary.LittleEndian.AppendUint32(b, uint32(c.Reason))
	}
	return b
}

// Decode reads the body. It allocates nothing.
func (m *Done) Decode(body []byte) error {
	const t = TypeSend | reply
	m.Reset()
	if len(body) < 8 {
		return violation(ReasonBounds, t, size)
	}
	count, left := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint32(body[4:])
	switch {
	case count == 0 || count > MaxBatch || left > MaxBatch-count:
		return violation(ReasonBounds, t, "a SEND has 1 to 64 entries, those that are left included")
	case len(body) != 8+int(count)*completionSize:
		return violation(ReasonBounds, t, "there are as many completions as it says")
	}
	for i := range int(count) {
		b := body[8+i*completionSize:]
		c := Completion{
			ID:     binary.LittleEndian.Uint32(b),
			Status: binary.LittleEndian.Uint32(b[4:]),
			Bytes:  binary.LittleEndian.Uint32(b[8:]),
			Reason: Reason(binary.LittleEndian.Uint32(b[12:])),
		}
		switch {
		case c.Status == 0 && c.Reason != ReasonNone:
			return violation(ReasonMessage, t, "a success has no reason")
		case c.Status != 0 && (!isFailure(c.Status) || c.Bytes != 0):
			return violation(ReasonMessage, t, "a status is 0 or a failure, and a failure has sent no bytes")
		}
		m.completions[i] = c
	}
	m.Left, m.count = left, int(count)
	return nil
}
