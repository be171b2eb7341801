// SPDX-License-Identifier: Apache-2.0

package send

import "github.com/wsk-xdp/wsk-xdp/wsk"

func hashOf(to *wsk.Destination) uint32 {
	h := uint32(to.Port) ^ uint32(to.TOS)<<16
	for i := 0; i < 16; i += 4 {
		h = (h ^ uint32(to.Addr[i]) ^ uint32(to.Addr[i+1])<<8 ^ uint32(to.Addr[i+2])<<16 ^ uint32(to.Addr[i+3])<<24) * 0x9e3779b1
	}
	return h >> 16
}

// isSame compares field by field, which the compiler makes into words. For == it calls a comparison of memory.
func isSame(a, b *wsk.Destination) bool {
	return a.Addr == b.Addr && a.Port == b.Port && a.Source == b.Source && a.IfIndex == b.IfIndex && a.Mark == b.Mark &&
		a.TTL == b.TTL && a.TOS == b.TOS && a.Fragment == b.Fragment && a.Flags == b.Flags
}
