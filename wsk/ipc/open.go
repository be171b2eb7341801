// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// Address families, with their values in Windows.
const (
	FamilyIPv4 = 2
	FamilyIPv6 = 23
)

// Address is a socket address:
//
//	0 addr[16] · 16 u32 scope · 20 u16 port · 22 u16 0
type Address struct {
	Addr  [16]byte
	Scope uint32 // the interface index of a link-local address, in the daemon's network namespace; else 0
	Port  uint16
}

const addressSize = 24

func (a *Address) appendTo(b []byte) []byte {
	b = append(b, a.Addr[:]...)
	b = binary.LittleEndian.AppendUint32(b, a.Scope)
	return binary.LittleEndian.AppendUint32(b, uint32(a.Port))
}

func (a *Address) decode(t Type, b []byte) error {
	*a = Address{
		Addr:  [16]byte(b),
		Scope: binary.LittleEndian.Uint32(b[16:]),
		Port:  binary.LittleEndian.Uint16(b[20:]),
	}
	switch {
	case !zeros(b[22:24]):
		return violation(ReasonMessage, t, reserved)
	case ipaddr.Is4(&a.Addr) && a.Scope != 0:
		return violation(ReasonMessage, t, "an IPv4 address has no scope")
	}
	return nil
}

// OpenFlags are how a socket takes its address.
type OpenFlags uint8

// Flags of OPEN, as WSK means them.
const (
	OpenDualStack OpenFlags = 1 << iota // IPv6 only: IPV6_V6ONLY is off
	OpenReuse                           // SO_REUSEADDR
	OpenExclusive                       // SO_EXCLUSIVEADDRUSE; not with OpenReuse
	OpenShare                           // others may share the address where the first socket is asked
	openAll       = OpenDualStack | OpenReuse | OpenExclusive | OpenShare
)

// Open is the request OPEN: a socket is made and bound in one step.
//
//	0 u16 family · 2 u8 flags · 3 13 bytes 0 · 16 address
type Open struct {
	Family uint16 // FamilyIPv4 or FamilyIPv6
	Flags  OpenFlags
	// Local is the wanted address. An unspecified one means every address of the family, port 0 any free port from 49152.
	// It is v4-mapped in a socket of FamilyIPv4, and may be in a dual-stack one.
	Local Address
}

const openSize = 16 + addressSize

// Append appends the body.
func (m *Open) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, m.Family)
	b = append(b, byte(m.Flags))
	b = append(b, make([]byte, 13)...)
	return m.Local.appendTo(b)
}

// Decode reads the body.
func (m *Open) Decode(body []byte) error {
	if err := sized(TypeOpen, body, openSize); err != nil {
		return err
	}
	m.Family, m.Flags = binary.LittleEndian.Uint16(body), OpenFlags(body[2])
	if err := m.Local.decode(TypeOpen, body[16:]); err != nil {
		return err
	}
	is4, dual := ipaddr.Is4(&m.Local.Addr), m.Flags&OpenDualStack != 0
	switch {
	case !zeros(body[3:16]):
		return violation(ReasonMessage, TypeOpen, reserved)
	case m.Family != FamilyIPv4 && m.Family != FamilyIPv6:
		return violation(ReasonMessage, TypeOpen, "the family is 2 or 23")
	case m.Flags&^openAll != 0:
		return violation(ReasonMessage, TypeOpen, "flags are those of this version")
	case m.Flags&OpenReuse != 0 && m.Flags&OpenExclusive != 0:
		return violation(ReasonMessage, TypeOpen, "an address is not reused and exclusive at once")
	case m.Family == FamilyIPv4 && (!is4 || dual), m.Family == FamilyIPv6 && is4 && !dual:
		return violation(ReasonMessage, TypeOpen, "the address is of the socket's family")
	}
	return nil
}

// Opened is the reply to OPEN:
//
//	0 address · 24 24 bytes 0
type Opened struct {
	Local Address // that was bound, the port filled in
}

const openedSize = addressSize + 24

// Append appends the body.
func (m *Opened) Append(b []byte) []byte {
	return append(m.Local.appendTo(b), make([]byte, 24)...)
}

// Decode reads the body.
func (m *Opened) Decode(body []byte) error {
	const t = TypeOpen | reply
	if err := sized(t, body, openedSize); err != nil {
		return err
	}
	if err := m.Local.decode(t, body); err != nil {
		return err
	}
	switch {
	case !zeros(body[addressSize:]):
		return violation(ReasonMessage, t, reserved)
	case m.Local.Port == 0:
		return violation(ReasonMessage, t, "a bound address has a port")
	}
	return nil
}
