// SPDX-License-Identifier: Apache-2.0

package testenv

import "encoding/binary"

// reflectFrame exchanges source and destination of a UDP frame in place: MAC addresses, IP addresses, and ports where
// the frame carries them. Every checksum stays right because a sum does not depend on the order of its terms. It
// returns false, and may have changed nothing, for anything that is not UDP over IPv4 or IPv6, tagged or not.
func reflectFrame(f []byte) bool {
	at := 12
	for at+2 <= len(f) && isVLAN(binary.BigEndian.Uint16(f[at:])) {
		at += 4
	}
	if at+2 > len(f) {
		return false
	}
	ip := f[at+2:]
	var ports []byte
	var source, destination []byte
	switch binary.BigEndian.Uint16(f[at:]) {
	case 0x0800:
		if len(ip) < 20 || ip[9] != 17 {
			return false
		}
		source, destination = ip[12:16], ip[16:20]
		if header := int(ip[0]&15) * 4; binary.BigEndian.Uint16(ip[6:])&0x1fff == 0 {
			if header < 20 || len(ip) < header+8 {
				return false
			}
			ports = ip[header:]
		}
	case 0x86dd:
		if len(ip) < 40 {
			return false
		}
		source, destination = ip[8:24], ip[24:40]
		next, rest := ip[6], ip[40:]
		first := true
		if next == 44 {
			if len(rest) < 8 {
				return false
			}
			first = binary.BigEndian.Uint16(rest[2:])&0xfff8 == 0
			next, rest = rest[0], rest[8:]
		}
		if next != 17 || first && len(rest) < 8 {
			return false
		}
		if first {
			ports = rest
		}
	default:
		return false
	}
	exchange(f[0:6], f[6:12])
	exchange(source, destination)
	if ports != nil {
		exchange(ports[0:2], ports[2:4])
	}
	return true
}

func isVLAN(etherType uint16) bool { return etherType == 0x8100 || etherType == 0x88a8 }

func exchange(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}
