// SPDX-License-Identifier: Apache-2.0

package frame

import "net/netip"

// MAC is an IEEE 802 address in transmission order: MAC[0] goes first.
type MAC [6]byte

// BroadcastMAC is ff:ff:ff:ff:ff:ff, where IPv4 broadcasts go (RFC 894).
func BroadcastMAC() MAC { return MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

// MACFromSlice copies b, for example a net.HardwareAddr. It reports false when b isn't 6 bytes long.
func MACFromSlice(b []byte) (MAC, bool) {
	if len(b) != 6 {
		return MAC{}, false
	}
	return MAC(b), true
}

// IsGroup reports whether the individual/group bit is set: a multicast address, or the broadcast address.
func (m MAC) IsGroup() bool { return m[0]&1 != 0 }

// IsBroadcast reports whether m is ff:ff:ff:ff:ff:ff.
func (m MAC) IsBroadcast() bool { return m == BroadcastMAC() }

// String is six lower-case hexadecimal pairs with colons, as Linux prints them.
func (m MAC) String() string {
	const digits = "0123456789abcdef"
	var s [17]byte
	for i, b := range m {
		s[3*i], s[3*i+1] = digits[b>>4], digits[b&15]
		if i < 5 {
			s[3*i+2] = ':'
		}
	}
	return string(s[:])
}

// MulticastMAC maps a multicast group to the Ethernet address it is sent to, with no neighbour discovery. It reports
// false for any other address, the IPv4 broadcast addresses included. A v4-mapped group counts as IPv4; a
// zone is ignored.
//
// IPv4: 01:00:5e and the low 23 bits of the group, so 32 groups share one address (RFC 1112 section 6.4).
// IPv6: 33:33 and the low 32 bits of the group (RFC 2464 section 7).
func MulticastMAC(group netip.Addr) (MAC, bool) {
	if !group.IsMulticast() {
		return MAC{}, false
	}
	if group = group.Unmap(); group.Is4() {
		a := group.As4()
		return MAC{0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3]}, true
	}
	a := group.As16()
	return MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}, true
}
