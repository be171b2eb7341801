// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"
)

// Positions in struct group_filter and what comes with it (linux/in.h).
const (
	linuxMcastMSFilter = 48 // MCAST_MSFILTER
	linuxMcastInclude  = 1  // MCAST_INCLUDE

	sizeofStorage  = 128                // struct sockaddr_storage
	groupAt        = 8                  // behind the interface index, aligned
	modeAt         = 8 + sizeofStorage  // MCAST_INCLUDE or MCAST_EXCLUDE
	countAt        = 12 + sizeofStorage // of the sources
	sizeofMSFilter = 16 + sizeofStorage // without sources
	fewSources     = 8                  // that are asked for at first
)

// sourcesOf asks a socket of the kernel which senders of a group it hears. It reports false where the socket is no member.
func sourcesOf(fd int, g group) (s sources, member bool) {
	for room := fewSources; ; {
		filter := make([]byte, sizeofMSFilter+room*sizeofStorage)
		binary.NativeEndian.PutUint32(filter, g.ifindex)
		putKernelAddress(filter[groupAt:], g.addr)
		binary.NativeEndian.PutUint32(filter[countAt:], uint32(room))
		size := uint32(len(filter))
		_, _, errno := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), uintptr(g.level()), linuxMcastMSFilter,
			uintptr(unsafe.Pointer(&filter[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			return s, false
		}
		n := int(binary.NativeEndian.Uint32(filter[countAt:]))
		if n > room {
			room = n
			continue
		}
		s.include = binary.NativeEndian.Uint32(filter[modeAt:]) == linuxMcastInclude
		for i := range n {
			s.list = append(s.list, kernelAddress(filter[sizeofMSFilter+i*sizeofStorage:]))
		}
		return s, true
	}
}

// putKernelAddress writes a struct sockaddr_in or sockaddr_in6 with port 0.
func putKernelAddress(b []byte, a netip.Addr) {
	if a.Is4() {
		binary.NativeEndian.PutUint16(b, syscall.AF_INET)
		copy(b[4:], a.AsSlice())
		return
	}
	binary.NativeEndian.PutUint16(b, syscall.AF_INET6)
	copy(b[8:], a.AsSlice())
}

func kernelAddress(b []byte) netip.Addr {
	if binary.NativeEndian.Uint16(b) == syscall.AF_INET {
		return netip.AddrFrom4([4]byte(b[4:]))
	}
	return netip.AddrFrom16([16]byte(b[8:]))
}
