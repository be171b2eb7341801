// SPDX-License-Identifier: Apache-2.0

package ipc

import "encoding/binary"

// Kind is what a Record is.
type Kind uint8

// Kinds.
const (
	KindDatagram Kind = iota
	KindError         // an ICMP error that an earlier send has met
)

// Record is one received datagram or ICMP error:
//
//	0 u32 size · 4 u32 length of the payload · 8 source[16] · 24 destination[16] · 40 u32 interface index · 44 u32 scope
//	48 u16 port · 50 u16 segment · 52 u8 TTL · 53 u8 TOS · 54 u8 cast · 55 u8 kind
//	56 u8 ICMP protocol · 57 u8 ICMP type · 58 u8 ICMP code · 59 u8 0 · 60 u32 info · 64 payload, zeros
//
// size is that of the whole record, 64 and the payload rounded up to a multiple of 64.
type Record struct {
	Length      uint32   // of the payload, at most 65535; 0 for an error
	Source      [16]byte // the sender; for an error, the destination of the send that has failed
	Destination [16]byte // the local address that it was sent to
	IfIndex     uint32   // that it came in through, in the daemon's network namespace
	Scope       uint32   // the interface index of a link-local Source, else 0
	Port        uint16   // of Source
	// Segment is not 0 when the payload is several datagrams of one flow, each of this many bytes save the last, which
	// may be shorter.
	Segment uint16
	TTL     uint8
	TOS     uint8
	Cast    uint8 // 0 unicast, 1 broadcast, 2 multicast
	Kind    Kind

	// Of an error; else 0.
	Protocol uint8  // 1 ICMP, 58 ICMPv6
	Type     uint8  // of the ICMP message
	Code     uint8  // of the ICMP message
	Info     uint32 // the next-hop MTU of "fragmentation needed" and "packet too big", else 0
}

const (
	recordSize = 64
	maxRecord  = 65535
	maxCast    = 2
)

func (r *Record) put(b *[recordSize]byte) {
	binary.LittleEndian.PutUint32(b[0:], uint32(recordSize+pad(int(r.Length), recordSize)))
	binary.LittleEndian.PutUint32(b[4:], r.Length)
	copy(b[8:], r.Source[:])
	copy(b[24:], r.Destination[:])
	binary.LittleEndian.PutUint32(b[40:], r.IfIndex)
	binary.LittleEndian.PutUint32(b[44:], r.Scope)
	binary.LittleEndian.PutUint16(b[48:], r.Port)
	binary.LittleEndian.PutUint16(b[50:], r.Segment)
	b[52], b[53], b[54], b[55] = r.TTL, r.TOS, r.Cast, byte(r.Kind)
	b[56], b[57], b[58], b[59] = r.Protocol, r.Type, r.Code, 0
	binary.LittleEndian.PutUint32(b[60:], r.Info)
}

func (r *Record) decode(b *[recordSize]byte) error {
	*r = Record{
		Length:      binary.LittleEndian.Uint32(b[4:]),
		Source:      [16]byte(b[8:]),
		Destination: [16]byte(b[24:]),
		IfIndex:     binary.LittleEndian.Uint32(b[40:]),
		Scope:       binary.LittleEndian.Uint32(b[44:]),
		Port:        binary.LittleEndian.Uint16(b[48:]),
		Segment:     binary.LittleEndian.Uint16(b[50:]),
		TTL:         b[52],
		TOS:         b[53],
		Cast:        b[54],
		Kind:        Kind(b[55]),
		Protocol:    b[56],
		Type:        b[57],
		Code:        b[58],
		Info:        binary.LittleEndian.Uint32(b[60:]),
	}
	isError := r.Kind == KindError
	switch {
	case r.Length > maxRecord || binary.LittleEndian.Uint32(b[0:]) != uint32(recordSize+pad(int(r.Length), recordSize)):
		return violation(ReasonBounds, TypeRecv, "a record is as large as its payload makes it")
	case r.Kind > KindError || r.Cast > maxCast:
		return violation(ReasonEntry, TypeRecv, "cast is 0 to 2, and kind 0 or 1")
	case isError && (r.Length != 0 || r.Segment != 0):
		return violation(ReasonEntry, TypeRecv, "an error has no payload")
	case isError && r.Protocol != 1 && r.Protocol != 58:
		return violation(ReasonEntry, TypeRecv, "the protocol of an error is 1 or 58")
	case !isError && !zeros(b[56:64]), b[59] != 0:
		return violation(ReasonEntry, TypeRecv, reserved)
	case r.Segment != 0 && uint32(r.Segment) >= r.Length:
		return violation(ReasonEntry, TypeRecv, "a segment is smaller than the payload")
	}
	return nil
}

// Received is a record with its payload, which lies in the message.
type Received struct {
	Record
	Payload []byte
}

// Recv is the notification RECV:
//
//	0 u32 count, 1 to 64 · 4 u32 0 · 8 count × record
type Recv struct {
	count   int
	records [MaxBatch]Received
}

// Records are those of the message, in its order, until the next Decode.
func (m *Recv) Records() []Received { return m.records[:m.count] }

// Decode reads the body. It checks the whole of it before any record is to be seen, and allocates nothing.
func (m *Recv) Decode(body []byte) error {
	m.count = 0
	n, rest, err := readCount(TypeRecv, body)
	if err != nil {
		return err
	}
	for i := range n {
		d := &m.records[i]
		if len(rest) < recordSize {
			return violation(ReasonBounds, TypeRecv, "there are as many records as it says")
		}
		if err := d.decode((*[recordSize]byte)(rest)); err != nil {
			return err
		}
		rest = rest[recordSize:]
		padded := pad(int(d.Length), recordSize)
		if len(rest) < padded {
			return violation(ReasonBounds, TypeRecv, "a payload is as long as its record says")
		}
		if !zeros(rest[d.Length:padded]) {
			return violation(ReasonMessage, TypeRecv, reserved)
		}
		d.Payload, rest = rest[:d.Length:d.Length], rest[padded:]
	}
	if len(rest) != 0 {
		return violation(ReasonBounds, TypeRecv, "nothing follows the last record")
	}
	m.count = n
	return nil
}

// A RecvWriter writes RECV messages. The zero value is ready for Begin.
type RecvWriter struct {
	batch
}

// Begin starts a message in buf, which is as large as the session's largest message and belongs to the writer until the
// message has been sent.
func (w *RecvWriter) Begin(buf []byte, socket uint32) {
	w.begin(buf, Header{Type: TypeRecv, Socket: socket})
}

// Add appends a record and answers with the room for its payload, r.Length bytes, which the caller fills before anything
// else is done with the writer. It answers false, and adds nothing, when the message has no room for it.
func (w *RecvWriter) Add(r *Record) (payload []byte, ok bool) {
	length := int(r.Length)
	b, ok := w.room(recordSize + pad(length, recordSize))
	if !ok {
		return nil, false
	}
	r.put((*[recordSize]byte)(b))
	clear(b[recordSize+length:])
	return b[recordSize : recordSize+length : recordSize+length], true
}
