// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"math/bits"
)

// Dst is all that differs between the headers of flows that one source sends by way of one next hop.
type Dst struct {
	Addr      [16]byte // an IPv4 address is v4-mapped
	Port      uint16
	FlowLabel uint32 // IPv6, 0 to MaxFlowLabel
}

// Open is the template without its destination: address, port and flow label are zero and in no sum. It serves all flows
// that differ in nothing else: [Template.PutDatagramTo] writes one whole datagram of any of them, and [Template.To] makes
// the template of one. What else is asked of an open template is right in lengths, but not in what it writes.
func (t *Template) Open() Template { return t.To(&Dst{}) }

// To is the template of another destination, of the same family. It costs more than [Template.PutDatagramTo]: it sums the headers up
// again.
func (t *Template) To(dst *Dst) Template {
	to := *t
	udpAt := int(t.headerLen) - UDPLen
	binary.BigEndian.PutUint16(to.hdr[udpAt+2:], dst.Port)
	if !t.v6 {
		copy(to.hdr[udpAt-4:udpAt], dst.Addr[12:])
	} else {
		ip := IPv6(to.hdr[udpAt-IPv6Len : udpAt])
		ip.SetVersionClassLabel(ip.TrafficClass(), dst.FlowLabel)
		copy(ip[24:], dst.Addr[:])
	}
	to.derive()
	return to
}

// sum6 is the sum of what the UDP checksum of a datagram over IPv6 covers of a destination, of little-endian words.
func (d *Dst) sum6() uint64 {
	sum := add1s(binary.LittleEndian.Uint64(d.Addr[:8]), binary.LittleEndian.Uint64(d.Addr[8:]))
	return add1s(sum, uint64(bits.ReverseBytes16(d.Port)))
}

// put6 writes a destination into headers of IPv6 and UDP that have none.
func (d *Dst) put6(h *[IPv6Len + UDPLen]byte) {
	binary.BigEndian.PutUint32(h[:], binary.BigEndian.Uint32(h[:])|d.FlowLabel&MaxFlowLabel)
	*(*[16]byte)(h[24:]) = d.Addr
	binary.BigEndian.PutUint16(h[IPv6Len+2:], d.Port)
}
