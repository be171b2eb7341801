// SPDX-License-Identifier: Apache-2.0

package ipc

import (
	"encoding/binary"
	"time"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// MaxAddresses is how many addresses ADDRESSES holds. A host with more names the first.
const MaxAddresses = 2048

// InterfaceAddress is a local unicast address:
//
//	0 addr[16] · 16 u32 scope · 20 u32 interface index
type InterfaceAddress struct {
	Addr    [16]byte
	Scope   uint32 // the interface index of a link-local address, else 0
	IfIndex uint32 // in the daemon's network namespace
}

// Addresses is the notification ADDRESSES, sent after the reply to HELLO and whenever it has changed: all local unicast
// addresses of both families.
//
//	0 u32 n · 4 n × interface address of 24 bytes
type Addresses struct{ List []InterfaceAddress }

// Append appends the body. What is more than MaxAddresses is left out.
func (m *Addresses) Append(b []byte) []byte {
	list := m.List[:min(len(m.List), MaxAddresses)]
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for i := range list {
		b = append(b, list[i].Addr[:]...)
		b = binary.LittleEndian.AppendUint32(b, list[i].Scope)
		b = binary.LittleEndian.AppendUint32(b, list[i].IfIndex)
	}
	return b
}

// Decode reads the body into memory of its own.
func (m *Addresses) Decode(body []byte) error {
	if len(body) < 4 {
		return violation(ReasonBounds, TypeAddresses, size)
	}
	n := binary.LittleEndian.Uint32(body)
	if n > MaxAddresses || len(body) != 4+int(n)*24 {
		return violation(ReasonBounds, TypeAddresses, "it holds at most 2048 addresses, and as many as it says")
	}
	m.List = make([]InterfaceAddress, n)
	for i := range m.List {
		b := body[4+i*24:]
		a := InterfaceAddress{[16]byte(b), binary.LittleEndian.Uint32(b[16:]), binary.LittleEndian.Uint32(b[20:])}
		if words := ipaddr.Load(&a.Addr); words.IsUnspecified() || words.IsMulticast() || words.Is4() && a.Scope != 0 {
			return violation(ReasonMessage, TypeAddresses, "local addresses are unicast, and IPv4 ones have no scope")
		}
		if a.IfIndex == 0 {
			return violation(ReasonMessage, TypeAddresses, "a local address has an interface")
		}
		m.List[i] = a
	}
	return nil
}

// Goodbye is the notification GOODBYE:
//
//	0 u32 milliseconds
//
// The daemon ends the session after that time, with an ERROR that says why, and takes no OPEN until then.
type Goodbye struct{ After time.Duration }

// Append appends the body. The time is rounded down to milliseconds.
func (m *Goodbye) Append(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, uint32(m.After.Milliseconds()))
}

// Decode reads the body.
func (m *Goodbye) Decode(body []byte) error {
	if err := sized(TypeGoodbye, body, 4); err != nil {
		return err
	}
	m.After = time.Duration(binary.LittleEndian.Uint32(body)) * time.Millisecond
	return nil
}
