// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// Empty refuses a body that is not empty: that of ABORT and CLOSE, and of the replies to them, to CONFIGURE, MEMBERSHIP
// and CANCEL.
func Empty(t Type, body []byte) error { return sized(t, body, 0) }

// Path is the request MTU, one entry without a payload:
//
//	0 entry with length, id and segment 0
type Path struct{ To Entry }

// Append appends the body.
func (m *Path) Append(b []byte) []byte { return m.To.append(b) }

// Decode reads the body.
func (m *Path) Decode(body []byte) error {
	if err := sized(TypeMTU, body, entrySize); err != nil {
		return err
	}
	if err := m.To.decode(TypeMTU, body); err != nil {
		return err
	}
	if m.To.Length != 0 || m.To.ID != 0 || m.To.Segment != 0 {
		return violation(ReasonMessage, TypeMTU, reserved)
	}
	return nil
}

// MTU is the reply to MTU, the largest IP packet that can leave for the destination:
//
//	0 u32 bytes
type MTU struct{ Bytes uint32 }

// Append appends the body.
func (m *MTU) Append(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, m.Bytes) }

// Decode reads the body.
func (m *MTU) Decode(body []byte) error {
	const t = TypeMTU | reply
	if err := sized(t, body, 4); err != nil {
		return err
	}
	if m.Bytes = binary.LittleEndian.Uint32(body); m.Bytes < 68 { // RFC 791: every link takes as much
		return violation(ReasonMessage, t, "an MTU is 68 or more")
	}
	return nil
}

// Configure is the request CONFIGURE, what a socket wants beyond plain datagrams. The last one counts.
//
//	0 u32 flags, 1 ICMP errors · 4 u32 largest coalesced payload · 8 u32 buffer · 12 u32 0
type Configure struct {
	Errors       bool
	MaxCoalesced uint32 // bytes; 0: no payload of several datagrams
	BufferBytes  uint32 // how much the daemon keeps while the client gives no credit; 0: the daemon's choice
}

// Append appends the body.
func (m *Configure) Append(b []byte) []byte {
	var flags uint32
	if m.Errors {
		flags = 1
	}
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = binary.LittleEndian.AppendUint32(b, m.MaxCoalesced)
	b = binary.LittleEndian.AppendUint32(b, m.BufferBytes)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// Decode reads the body.
func (m *Configure) Decode(body []byte) error {
	if err := sized(TypeConfigure, body, 16); err != nil {
		return err
	}
	flags := binary.LittleEndian.Uint32(body)
	*m = Configure{
		Errors:       flags == 1,
		MaxCoalesced: binary.LittleEndian.Uint32(body[4:]),
		BufferBytes:  binary.LittleEndian.Uint32(body[8:]),
	}
	switch {
	case flags > 1:
		return violation(ReasonMessage, TypeConfigure, "flags are those of this version")
	case !zeros(body[12:]):
		return violation(ReasonMessage, TypeConfigure, reserved)
	}
	return nil
}

// Change is what a Membership does, with the values of wsk.MembershipChange.
type Change uint8

// Changes. The last four have a source.
const (
	JoinGroup Change = iota
	LeaveGroup
	JoinSource
	LeaveSource
	BlockSource
	UnblockSource
)

// Membership is the request MEMBERSHIP:
//
//	0 u8 change · 1 7 bytes 0 · 8 group[16] · 24 source[16] · 40 local[16] · 56 u32 interface index · 60 u32 0
type Membership struct {
	Change  Change
	Group   [16]byte // a multicast address
	Source  [16]byte // of the group's family in changes that have one, else zero
	Local   [16]byte // names the interface by its address; zero: IfIndex counts
	IfIndex uint32   // in the daemon's network namespace; 0: the route decides
}

// Append appends the body.
func (m *Membership) Append(b []byte) []byte {
	b = append(b, byte(m.Change), 0, 0, 0, 0, 0, 0, 0)
	b = append(b, m.Group[:]...)
	b = append(b, m.Source[:]...)
	b = append(b, m.Local[:]...)
	b = binary.LittleEndian.AppendUint32(b, m.IfIndex)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// Decode reads the body.
func (m *Membership) Decode(body []byte) error {
	if err := sized(TypeMembership, body, 64); err != nil {
		return err
	}
	*m = Membership{
		Change:  Change(body[0]),
		Group:   [16]byte(body[8:]),
		Source:  [16]byte(body[24:]),
		Local:   [16]byte(body[40:]),
		IfIndex: binary.LittleEndian.Uint32(body[56:]),
	}
	group, source := ipaddr.Load(&m.Group), ipaddr.Load(&m.Source)
	switch {
	case !zeros(body[1:8]), !zeros(body[60:]):
		return violation(ReasonMessage, TypeMembership, reserved)
	case m.Change > UnblockSource:
		return violation(ReasonMessage, TypeMembership, "the change is one of this version")
	case !group.IsMulticast():
		return violation(ReasonMessage, TypeMembership, "the group is a multicast address")
	case m.Change < JoinSource && source != ipaddr.Words{}:
		return violation(ReasonMessage, TypeMembership, "a change of the whole group has no source")
	case m.Change >= JoinSource && (source.Is4() != group.Is4() || source.IsUnspecified() || source.IsMulticast()):
		return violation(ReasonMessage, TypeMembership, "the source is a unicast address of the group's family")
	}
	return nil
}

// Cancel is the request CANCEL:
//
//	0 u32 id · 4 u32 0
//
// It takes back the oldest entry of the socket with that ID that still waits. The entry completes all the same, with
// STATUS_CANCELLED; one that does not wait any more completes as ever. The reply has status 0, or STATUS_NOT_FOUND where
// no entry with that ID waits.
type Cancel struct{ ID uint32 }

// Append appends the body.
func (m *Cancel) Append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(m.ID))
}

// Decode reads the body.
func (m *Cancel) Decode(body []byte) error {
	if err := sized(TypeCancel, body, 8); err != nil {
		return err
	}
	if !zeros(body[4:]) {
		return violation(ReasonMessage, TypeCancel, reserved)
	}
	m.ID = binary.LittleEndian.Uint32(body)
	return nil
}

// Source is the request SOURCE, which asks for the local address that the route to an address prefers, and the body of
// its reply, whose port is 0:
//
//	0 address
type Source struct{ Address }

// Append appends the body.
func (m *Source) Append(b []byte) []byte { return m.appendTo(b) }

// Decode reads the body; t is the type of the message.
func (m *Source) Decode(t Type, body []byte) error {
	if err := sized(t, body, addressSize); err != nil {
		return err
	}
	if err := m.decode(t, body); err != nil {
		return err
	}
	if t.IsReply() && m.Port != 0 {
		return violation(ReasonMessage, t, reserved)
	}
	return nil
}

// Credit is the request CREDIT, which has no reply:
//
//	0 u32 messages, 1 to 1024
//
// The daemon may send as many RECV messages more.
type Credit struct{ Messages uint32 }

// Append appends the body.
func (m *Credit) Append(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, m.Messages) }

// Decode reads the body. Messages is 1 to MaxCredit.
func (m *Credit) Decode(body []byte) error {
	if err := sized(TypeCredit, body, 4); err != nil {
		return err
	}
	if m.Messages = binary.LittleEndian.Uint32(body); m.Messages == 0 || m.Messages > MaxCredit {
		return violation(ReasonBounds, TypeCredit, "credit is for 1 to 1024 messages")
	}
	return nil
}
