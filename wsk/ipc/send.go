// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// The largest UDP payloads (RFC 768, 791, 8200).
const (
	MaxPayload4 = 65507
	MaxPayload6 = 65527
)

// Entry is one datagram to send, with all that decides its headers and its way: a wsk.Destination and its length.
//
//	0 u32 0 · 4 u32 length · 8 u32 id · 12 u16 segment · 14 u16 port · 16 addr[16] · 32 source[16]
//	48 u32 interface index · 52 u8 TTL · 53 u8 TOS · 54 u8 fragment · 55 u8 flags · 56 u64 0
type Entry struct {
	Length uint32 // of the payload: at most MaxPayload4 or MaxPayload6
	ID     uint32 // the client's, any number; its completion has the same
	// Segment cuts the payload into datagrams of this many bytes, the last one shorter. 0: it is one datagram.
	Segment  uint16
	Port     uint16
	Addr     [16]byte // a v4-mapped one leaves as IPv4
	Source   [16]byte // wanted source address; zero: the bound one, else the route decides
	IfIndex  uint32   // wanted interface, in the daemon's network namespace; 0: the route decides
	TTL      uint8    // TTL or hop limit
	TOS      uint8    // the whole TOS or traffic class byte
	Fragment uint8    // IP_MTU_DISCOVER of Windows: 0 not set, 1 do, 2 don't, 3 probe
	Flags    uint8    // wsk.DestinationFlags: 1 broadcast is allowed, 2 no UDP checksum
}

const (
	entrySize   = 64
	maxFragment = 3
	entryFlags  = 3
)

func (e *Entry) append(b []byte) []byte {
	var a [entrySize]byte
	e.put(&a)
	return append(b, a[:]...)
}

func (e *Entry) put(b *[entrySize]byte) {
	binary.LittleEndian.PutUint32(b[0:], 0)
	binary.LittleEndian.PutUint32(b[4:], e.Length)
	binary.LittleEndian.PutUint32(b[8:], e.ID)
	binary.LittleEndian.PutUint16(b[12:], e.Segment)
	binary.LittleEndian.PutUint16(b[14:], e.Port)
	copy(b[16:], e.Addr[:])
	copy(b[32:], e.Source[:])
	binary.LittleEndian.PutUint32(b[48:], e.IfIndex)
	b[52], b[53], b[54], b[55] = e.TTL, e.TOS, e.Fragment, e.Flags
	binary.LittleEndian.PutUint64(b[56:], 0)
}

func (e *Entry) decode(t Type, body []byte) error {
	b := (*[entrySize]byte)(body)
	*e = Entry{
		Length:   binary.LittleEndian.Uint32(b[4:]),
		ID:       binary.LittleEndian.Uint32(b[8:]),
		Segment:  binary.LittleEndian.Uint16(b[12:]),
		Port:     binary.LittleEndian.Uint16(b[14:]),
		Addr:     [16]byte(b[16:]),
		Source:   [16]byte(b[32:]),
		IfIndex:  binary.LittleEndian.Uint32(b[48:]),
		TTL:      b[52],
		TOS:      b[53],
		Fragment: b[54],
		Flags:    b[55],
	}
	largest := uint32(MaxPayload6)
	if ipaddr.Is4(&e.Addr) {
		largest = MaxPayload4
	}
	switch {
	case binary.LittleEndian.Uint32(b[0:]) != 0, binary.LittleEndian.Uint64(b[56:]) != 0:
		return violation(ReasonEntry, t, reserved)
	case e.Length > largest:
		return violation(ReasonBounds, t, "a payload has at most 65507 bytes in IPv4, 65527 in IPv6")
	case e.Fragment > maxFragment:
		return violation(ReasonEntry, t, "fragment is 0 to 3")
	case e.Flags&^entryFlags != 0:
		return violation(ReasonEntry, t, "flags are those of this version")
	}
	return nil
}

// Datagram is an entry with its payload, which lies in the message.
type Datagram struct {
	Entry
	Payload []byte
}

// Send is the request SEND:
//
//	0 u32 count, 1 to 64 · 4 u32 0 · 8 count × (entry of 64 bytes, payload, zeros up to a multiple of 8)
//
// A session keeps one and decodes into it again and again.
type Send struct {
	count     int
	datagrams [MaxBatch]Datagram
}

// Datagrams are those of the message, in its order, until the next Decode.
func (m *Send) Datagrams() []Datagram { return m.datagrams[:m.count] }

// Decode reads the body. It checks the whole of it before any datagram is to be seen, and allocates nothing.
func (m *Send) Decode(body []byte) error {
	m.count = 0
	n, rest, err := readCount(TypeSend, body)
	if err != nil {
		return err
	}
	for i := range n {
		d := &m.datagrams[i]
		if len(rest) < entrySize {
			return violation(ReasonBounds, TypeSend, "there are as many entries as it says")
		}
		if err := d.decode(TypeSend, rest[:entrySize]); err != nil {
			return err
		}
		rest = rest[entrySize:]
		padded := pad(int(d.Length), 8)
		if len(rest) < padded {
			return violation(ReasonBounds, TypeSend, "a payload is as long as its entry says")
		}
		if !zeros(rest[d.Length:padded]) {
			return violation(ReasonMessage, TypeSend, reserved)
		}
		d.Payload, rest = rest[:d.Length:d.Length], rest[padded:]
	}
	if len(rest) != 0 {
		return violation(ReasonBounds, TypeSend, "nothing follows the last entry")
	}
	m.count = n
	return nil
}

// readCount reads how many things follow. rest are the bytes of them.
func readCount(t Type, body []byte) (n int, rest []byte, err error) {
	if len(body) < 8 {
		return 0, nil, violation(ReasonBounds, t, size)
	}
	count := binary.LittleEndian.Uint32(body)
	switch {
	case count == 0 || count > MaxBatch:
		return 0, nil, violation(ReasonBounds, t, "the count is 1 to 64")
	case !zeros(body[4:8]):
		return 0, nil, violation(ReasonMessage, t, reserved)
	}
	return int(count), body[8:], nil
}

// pad rounds n up to a multiple of to, a power of two.
func pad(n, to int) int { return (n + to - 1) &^ (to - 1) }

// A SendWriter writes SEND messages. The zero value is ready for Begin.
type SendWriter struct {
	batch
}

// Begin starts a message in buf, which is as large as the session's largest message and belongs to the writer until the
// message has been sent.
func (w *SendWriter) Begin(buf []byte, seq, socket uint32) {
	w.begin(buf, Header{Type: TypeSend, Seq: seq, Socket: socket})
}

// Add appends an entry and answers with the room for its payload, e.Length bytes, which the caller fills before anything
// else is done with the writer. It answers false, and adds nothing, when the message has no room for it.
func (w *SendWriter) Add(e *Entry) (payload []byte, ok bool) {
	length := int(e.Length)
	b, ok := w.room(entrySize + pad(length, 8))
	if !ok {
		return nil, false
	}
	e.put((*[entrySize]byte)(b))
	clear(b[entrySize+length:])
	return b[entrySize : entrySize+length : entrySize+length], true
}

// batch is a message that is a count and things behind it.
type batch struct {
	b     []byte // the message so far; its capacity is the limit
	count uint32
}

func (w *batch) begin(buf []byte, h Header) {
	w.b = append(h.Append(buf[:0]), 0, 0, 0, 0, 0, 0, 0, 0)
	w.count = 0
}

// room makes the message n bytes longer and answers with those.
func (w *batch) room(n int) ([]byte, bool) {
	at := len(w.b)
	if w.count == MaxBatch || cap(w.b)-at < n {
		return nil, false
	}
	w.count++
	w.b = w.b[:at+n]
	return w.b[at:], true
}

// Count is how many have been added since Begin.
func (w *batch) Count() int { return int(w.count) }

// Message is the message with all that has been added. Without anything it is not one that may be sent.
func (w *batch) Message() []byte {
	binary.LittleEndian.PutUint32(w.b[HeaderSize:], w.count)
	return w.b
}
