// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// Sizes of the address structures in bytes (ws2def.h, ws2ipdef.h).
const (
	SizeofSockaddrIn      = 16
	SizeofSockaddrIn6     = 28
	SizeofSockaddrStorage = 128
)

// SOCKADDR is a socket address as raw bytes in the Windows layout. It is raw because WSK passes addresses without a
// length, and because a typed form could not represent what validation must refuse. nil is the NULL of C.
//
//	SOCKADDR_IN:  family u16 0 | port BE16 2 | address 4 | zero 8..15
//	SOCKADDR_IN6: family u16 0 | port BE16 2 | flow info 4 | address 8 | scope id u32 24
//
// The family is read first, then 16 or 28 bytes and never more; a longer slice, such as a SOCKADDR_STORAGE, is fine.
// family and scope id are little-endian. Calls read an address before they return and keep no reference.
type SOCKADDR []byte

// NewSockaddr is AppendSockaddr to a new slice.
func NewSockaddr(ap netip.AddrPort) SOCKADDR { return AppendSockaddr(nil, ap) }

// AppendSockaddr appends ap, as SOCKADDR_IN for an IPv4 address and as SOCKADDR_IN6 for any other. That includes
// v4-mapped addresses (::ffff:1.2.3.4), by which a dual-stack socket names IPv4 peers. A zone must be an interface
// index in decimal, since names have no meaning here. For an invalid address or zone it returns nil.
func AppendSockaddr(b []byte, ap netip.AddrPort) SOCKADDR {
	addr := ap.Addr()
	switch {
	case addr.Is4():
		a := addr.As4()
		b = binary.LittleEndian.AppendUint16(b, AF_INET)
		b = binary.BigEndian.AppendUint16(b, ap.Port())
		b = append(b, a[:]...)
		return append(b, make([]byte, 8)...)
	case addr.Is6():
		var scope uint64
		if zone := addr.Zone(); zone != "" {
			var err error
			if scope, err = strconv.ParseUint(zone, 10, 32); err != nil {
				return nil
			}
		}
		a := addr.As16()
		b = binary.LittleEndian.AppendUint16(b, AF_INET6)
		b = binary.BigEndian.AppendUint16(b, ap.Port())
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = append(b, a[:]...)
		return binary.LittleEndian.AppendUint32(b, uint32(scope))
	}
	return nil
}

// Family is sa_family, or AF_UNSPEC when there are not even two bytes.
func (sa SOCKADDR) Family() uint16 {
	if len(sa) < 2 {
		return AF_UNSPEC
	}
	return binary.LittleEndian.Uint16(sa)
}

// AddrPort is the address in Go's form. A scope id becomes a decimal zone; a v4-mapped address stays v4-mapped. It
// reports false when the family is unknown or there are too few bytes for it.
func (sa SOCKADDR) AddrPort() (netip.AddrPort, bool) {
	var r remote
	if r.parse(sa, sa.Family()) != STATUS_SUCCESS {
		return netip.AddrPort{}, false
	}
	var a [16]byte
	r.Store(&a)
	addr := netip.AddrFrom16(a)
	if sa.Family() == AF_INET {
		addr = addr.Unmap()
	} else if r.scope != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(r.scope), 10))
	}
	return netip.AddrPortFrom(addr, r.port), true
}

// String is the address in readable form.
func (sa SOCKADDR) String() string {
	if sa == nil {
		return "NULL"
	}
	ap, ok := sa.AddrPort()
	if !ok {
		return "invalid SOCKADDR, family " + strconv.Itoa(int(sa.Family()))
	}
	return ap.String()
}

// remote is a parsed SOCKADDR. is4 is kept, since every send asks for it.
type remote struct {
	ipaddr.Words
	scope uint32
	port  uint16
	is4   bool
}

// remote4 reads the four bytes of an IPv4 address.
func remote4(b []byte) remote {
	return remote{Words: ipaddr.Load4(b), is4: true}
}

// parse reads sa as an address of the family. Another family and too few bytes are STATUS_INVALID_PARAMETER.
func (r *remote) parse(sa SOCKADDR, family uint16) NTSTATUS {
	if len(sa) < SizeofSockaddrIn || binary.LittleEndian.Uint16(sa) != family {
		return STATUS_INVALID_PARAMETER
	}
	switch family {
	case AF_INET:
		*r = remote4(sa[4:])
	case AF_INET6:
		if len(sa) < SizeofSockaddrIn6 {
			return STATUS_INVALID_PARAMETER
		}
		r.Words = ipaddr.Load((*[16]byte)(sa[8:]))
		r.scope = binary.LittleEndian.Uint32(sa[24:])
		r.is4 = r.Is4()
	default:
		return STATUS_INVALID_PARAMETER
	}
	r.port = binary.BigEndian.Uint16(sa[2:])
	return STATUS_SUCCESS
}

// putSockaddr writes ap in the form of the family into b and returns its size, or 0 when b is too small.
func putSockaddr(b []byte, family uint16, ap netip.AddrPort) int {
	switch family {
	case AF_INET:
		ap = ipaddr.Unmap(ap)
	case AF_INET6:
		ap = ipaddr.Map(ap)
	}
	var room [SizeofSockaddrIn6]byte
	sa := AppendSockaddr(room[:0], ap)
	if len(b) < len(sa) {
		return 0
	}
	return copy(b, sa)
}

// sizeofSockaddr is the size of a family's address structure.
func sizeofSockaddr(family uint16) int {
	if family == AF_INET {
		return SizeofSockaddrIn
	}
	return SizeofSockaddrIn6
}

// is4 reports whether the address is an IPv4 one.
func (a *Address) is4() bool { return ipaddr.Is4(&a.Addr) }

// putAddress writes a, which is of the family, in the family's form into b and returns the size. b is large enough;
// what is beyond that size is left alone.
func putAddress(b []byte, family uint16, a *Address) int {
	binary.LittleEndian.PutUint16(b, family)
	binary.BigEndian.PutUint16(b[2:], a.Port)
	if family == AF_INET {
		copy(b[4:8], a.Addr[12:])
		clear(b[8:SizeofSockaddrIn])
		return SizeofSockaddrIn
	}
	clear(b[4:8])
	copy(b[8:24], a.Addr[:])
	binary.LittleEndian.PutUint32(b[24:], a.Scope)
	return SizeofSockaddrIn6
}
