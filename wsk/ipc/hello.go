// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/binary"
	"fmt"
)

// The version of this package, and what HELLO and its reply begin with ("WSKX" in the order of the bytes).
const (
	Magic = 0x584B5357
	Major = 1
	Minor = 0
)

// Features are abilities that a session has when both sides do.
type Features uint64

// Features. Bit 0, rings in shared memory, is of a later version.
const (
	FeatureReceive   Features = 1 << 1 // CREDIT and RECV
	FeatureSegment   Features = 1 << 2 // Entry.Segment
	FeatureCoalesced Features = 1 << 3 // Record.Segment
	FeatureMulticast Features = 1 << 4 // MEMBERSHIP
	FeatureErrors    Features = 1 << 5 // records of kind ICMP error
)

// Hello is the request HELLO, the first of a session:
//
//	0 u32 magic · 4 u16 major · 6 u16 minor · 8 u64 features · 16 u32 largest message · 20 u32 0 · 24 char name[32]
type Hello struct {
	Minor      uint16   // the latest that the client speaks; the major is the package's
	Features   Features // that the client has use for
	MaxMessage uint32   // the largest message that the client takes, at least MinMessage
	Name       string   // of the program, for logs alone: up to 32 bytes of printable ASCII
}

const (
	helloSize   = 56
	welcomeSize = 64
	nameSize    = 32
	versionSize = 16
)

// Append appends the body. A name that is too long is cut.
func (m *Hello) Append(b []byte) []byte {
	b = appendVersion(b, m.Minor, m.Features, m.MaxMessage)
	b = binary.LittleEndian.AppendUint32(b, 0)
	return appendString(b, m.Name, nameSize)
}

// Decode reads the body. The violation of another major version has [ReasonVersion] and names both.
func (m *Hello) Decode(body []byte) error {
	if err := sized(TypeHello, body, helloSize); err != nil {
		return err
	}
	if err := checkVersion(TypeHello, body); err != nil {
		return err
	}
	m.Minor, m.Features, m.MaxMessage = readVersion(body)
	var ok bool
	m.Name, ok = readString(body[24:])
	switch {
	case m.MaxMessage < MinMessage:
		return violation(ReasonBounds, TypeHello, "a client takes messages of 65624 bytes")
	case !zeros(body[20:24]):
		return violation(ReasonMessage, TypeHello, reserved)
	case !ok:
		return violation(ReasonMessage, TypeHello, "the name is printable ASCII, then zeros")
	}
	return nil
}

// Welcome begins the answer of a daemon that offers features: the smaller minor, the features of both, the smaller
// message.
func (m *Hello) Welcome(offered Features) Welcome {
	return Welcome{
		Minor:      min(m.Minor, Minor),
		Features:   m.Features & offered,
		MaxMessage: min(m.MaxMessage, MaxMessage),
	}
}

// Welcome is the reply to HELLO:
//
//	0 u32 magic · 4 u16 major · 6 u16 minor · 8 u64 features · 16 u32 largest message · 20 u32 sockets
//	24 16 bytes 0 · 40 u64 instance · 48 char version[16]
type Welcome struct {
	Minor      uint16   // that the session speaks
	Features   Features // of both sides
	MaxMessage uint32   // the largest message of the session, in both directions
	Sockets    uint32   // that the grant allows, for all its sessions together
	Instance   uint64   // another number each time that the daemon starts
	Version    string   // of the daemon, for people: up to 16 bytes of printable ASCII
}

// Append appends the body.
func (m *Welcome) Append(b []byte) []byte {
	b = appendVersion(b, m.Minor, m.Features, m.MaxMessage)
	b = binary.LittleEndian.AppendUint32(b, m.Sockets)
	b = append(b, make([]byte, 16)...)
	b = binary.LittleEndian.AppendUint64(b, m.Instance)
	return appendString(b, m.Version, versionSize)
}

// Decode reads the body.
func (m *Welcome) Decode(body []byte) error {
	const t = TypeHello | reply
	if err := sized(t, body, welcomeSize); err != nil {
		return err
	}
	if err := checkVersion(t, body); err != nil {
		return err
	}
	m.Minor, m.Features, m.MaxMessage = readVersion(body)
	m.Sockets = binary.LittleEndian.Uint32(body[20:])
	m.Instance = binary.LittleEndian.Uint64(body[40:])
	var ok bool
	m.Version, ok = readString(body[48:])
	switch {
	case m.Minor > Minor:
		return violation(ReasonVersion, t, "the session's minor version is none that the client has not named")
	case m.MaxMessage < MinMessage || m.MaxMessage > MaxMessage:
		return violation(ReasonBounds, t, "the session's largest message has 65624 to 131072 bytes")
	case !zeros(body[24:40]):
		return violation(ReasonMessage, t, reserved)
	case !ok:
		return violation(ReasonMessage, t, "the version is printable ASCII, then zeros")
	}
	return nil
}

func appendVersion(b []byte, minor uint16, features Features, largest uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, Magic)
	b = binary.LittleEndian.AppendUint16(b, Major)
	b = binary.LittleEndian.AppendUint16(b, minor)
	b = binary.LittleEndian.AppendUint64(b, uint64(features))
	return binary.LittleEndian.AppendUint32(b, largest)
}

func checkVersion(t Type, body []byte) error {
	if binary.LittleEndian.Uint32(body) != Magic {
		return violation(ReasonMessage, t, "it begins with the magic number")
	}
	if major := binary.LittleEndian.Uint16(body[4:]); major != Major {
		return &Violation{ReasonVersion, t, "both sides speak the same major version", fmt.Sprintf("%d meets %d", major, Major)}
	}
	return nil
}

func readVersion(body []byte) (minor uint16, features Features, largest uint32) {
	return binary.LittleEndian.Uint16(body[6:]), Features(binary.LittleEndian.Uint64(body[8:])),
		binary.LittleEndian.Uint32(body[16:])
}

// appendString fills n bytes with s and zeros.
func appendString(b []byte, s string, n int) []byte {
	s = s[:min(len(s), n)]
	b = append(b, s...)
	return append(b, make([]byte, n-len(s))...)
}

// readString reads what appendString has written, and reports whether it is nothing but printable ASCII: it ends in
// logs and terminals.
func readString(b []byte) (string, bool) {
	n := 0
	for n < len(b) && b[n] >= 0x20 && b[n] <= 0x7e {
		n++
	}
	return string(b[:n]), zeros(b[n:])
}
