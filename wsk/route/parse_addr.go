// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

const (
	ifaddrLen = unix.SizeofIfAddrmsg
	ndLen     = unix.SizeofNdMsg
)

// addressKey tells addresses apart: the kernel lets one interface have the same address with several prefixes.
type addressKey struct {
	index  int
	ip     netip.Addr
	prefix netip.Prefix
}

func (a Address) key() addressKey { return addressKey{a.Interface, a.IP, a.Prefix} }

// parseAddress reads an RTM_NEWADDR or RTM_DELADDR.
func parseAddress(b []byte) (Address, bool) {
	if len(b) < ifaddrLen || (b[0] != unix.AF_INET && b[0] != unix.AF_INET6) {
		return Address{}, false
	}
	bits, flags := int(b[1]), uint32(b[2])
	a := Address{Interface: int(int32(binary.NativeEndian.Uint32(b[4:]))), scope: b[3]}
	var local, peer netip.Addr
	rtattr.Each(b[ifaddrLen:], func(at rtattr.Attr) {
		switch at.Type {
		case unix.IFA_LOCAL:
			local = at.Addr()
		case unix.IFA_ADDRESS:
			peer = at.Addr()
		case unix.IFA_BROADCAST:
			a.Broadcast = at.Addr()
		case unix.IFA_FLAGS:
			flags = at.U32()
		}
	})
	// IFA_ADDRESS is the other end of a point-to-point address and the address itself otherwise; IFA_LOCAL is
	// always the own one, and IPv6 leaves it out when there is no other end.
	if !local.IsValid() {
		local = peer
	}
	if !peer.IsValid() {
		peer = local
	}
	is4 := b[0] == unix.AF_INET
	prefix, err := peer.Prefix(bits)
	if err != nil || a.Interface <= 0 || !local.IsValid() || local.Is4() != is4 || peer.Is4() != is4 {
		return Address{}, false
	}
	if !a.Broadcast.Is4() {
		a.Broadcast = netip.Addr{}
	}
	a.IP, a.Prefix = local, prefix
	if !is4 {
		a.Tentative = flags&unix.IFA_F_DADFAILED != 0 ||
			flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC) == unix.IFA_F_TENTATIVE
	}
	a.Deprecated = flags&unix.IFA_F_DEPRECATED != 0
	return a, true
}

// neighbourKey names a neighbour: an address without zone on a link.
type neighbourKey struct {
	index int
	ip    netip.Addr
}

// neighbour is one entry of the kernel's neighbour table.
type neighbour struct {
	key   neighbourKey
	state uint16 // NUD_*
	mac   [6]byte
	noMAC bool // there is no 6-byte link-layer address in the entry
}

// nudUsable are the states in which the kernel itself would send to the entry's address (include/net/neighbour.h,
// NUD_VALID).
const nudUsable = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT | unix.NUD_NOARP

func (n neighbour) usable() bool { return n.state&nudUsable != 0 && !n.noMAC }

// parseNeighbour reads an RTM_NEWNEIGH or RTM_DELNEIGH. Entries of a bridge's forwarding table and proxy entries use
// the same message; they are none of ours.
func parseNeighbour(b []byte) (neighbour, bool) {
	if len(b) < ndLen || (b[0] != unix.AF_INET && b[0] != unix.AF_INET6) || b[10]&unix.NTF_PROXY != 0 {
		return neighbour{}, false
	}
	n := neighbour{state: binary.NativeEndian.Uint16(b[8:]), noMAC: true}
	n.key.index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	rtattr.Each(b[ndLen:], func(a rtattr.Attr) {
		switch a.Type {
		case unix.NDA_DST:
			n.key.ip = a.Addr()
		case unix.NDA_LLADDR:
			if len(a.Value) == len(n.mac) {
				copy(n.mac[:], a.Value)
				n.noMAC = false
			}
		}
	})
	return n, n.key.index > 0 && n.key.ip.IsValid() && n.key.ip.Is4() == (b[0] == unix.AF_INET)
}
