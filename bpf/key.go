// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// ErrInvalidAddress is wrapped in the error for an address or port that no frame can carry, or that must not be redirected.
var ErrInvalidAddress = errors.New("invalid address")

// Key says what a port entry owns. It is comparable.
type Key struct {
	// Addr is the destination, or the unspecified address of a family for any address of that family: a dual-stack
	// socket has two entries. A zone is ignored, since a Program serves one interface.
	Addr netip.Addr
	// Port is the destination port in host byte order, not 0.
	Port uint16
}

// String returns address and port.
func (k Key) String() string { return netip.AddrPortFrom(k.Addr, k.Port).String() }

// Flags say what an entry for any address matches besides the host's own unicast addresses. They mean nothing in an entry for
// an exact address, which matches that one whatever it is.
type Flags uint32

const (
	// MatchMulticast takes every group. It suits a socket that is to receive what any socket of the host joined; for joined
	// groups of its own enter the groups as exact addresses.
	MatchMulticast = Flags(wskxdpWskxdpFlagWSKXDP_MULTICAST)
	// MatchBroadcast takes 255.255.255.255 and the addresses of SetBroadcastAddresses.
	MatchBroadcast = Flags(wskxdpWskxdpFlagWSKXDP_BROADCAST)
)

func (f Flags) validate() error {
	if unknown := f &^ (MatchMulticast | MatchBroadcast); unknown != 0 {
		return fmt.Errorf("flags %#x: %#x is unknown", uint32(f), uint32(unknown))
	}
	return nil
}

func (k Key) encode() (wskxdpWskxdpKey, error) {
	switch {
	case k.Port == 0:
		return wskxdpWskxdpKey{}, fmt.Errorf("%w: port 0 cannot be owned", ErrInvalidAddress)
	case k.Addr.IsLoopback():
		return wskxdpWskxdpKey{}, fmt.Errorf("%w: %v never comes from the wire, leave it to the companion socket",
			ErrInvalidAddress, k.Addr)
	}
	return encodeAddr(k.Addr, k.Port)
}

// encodeAddr lays address and port out as the program reads them from a frame: in wire order, whatever this machine's order is.
func encodeAddr(a netip.Addr, port uint16) (k wskxdpWskxdpKey, err error) {
	var b [16]byte
	switch {
	case a.Is4():
		v4 := a.As4()
		copy(b[:], v4[:])
		k.Family = 4
	case a.Is4In6():
		return k, fmt.Errorf("%w: %v is an IPv4 address in IPv6 form, unmap it", ErrInvalidAddress, a)
	case a.Is6():
		b = a.As16()
		k.Family = 6
	default:
		return k, fmt.Errorf("%w: it is the zero netip.Addr", ErrInvalidAddress)
	}
	for i := range k.Addr {
		k.Addr[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	var p [2]byte
	binary.BigEndian.PutUint16(p[:], port)
	k.Port = binary.NativeEndian.Uint16(p[:])
	return k, nil
}
