// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"encoding/binary"
	"math/bits"
)

// MaxHeaderLen is the longest header that is written: Ethernet, two tags, IPv6, a fragment header and UDP. A
// chunk of a packet of MTU octets needs at most MTU + EthernetLen + MaxVLANTags*VLANTagLen.
const MaxHeaderLen = EthernetLen + MaxVLANTags*VLANTagLen + IPv6Len + IPv6FragmentLen + UDPLen

const (
	// headerTail and headerHead are the two fixed-size moves that copy a header of any length from 42 to 70
	// octets: head from the front, tail up to the end, overlapping in the middle.
	headerHead = 32
	headerTail = 40

	minTemplateLen = EthernetLen + IPv4Len + UDPLen
	maxTemplateLen = EthernetLen + MaxVLANTags*VLANTagLen + IPv6Len + UDPLen
)

// A header of any length in between is covered by head and tail, and is at least as long as either.
var (
	_ [headerHead + headerTail - maxTemplateLen]struct{}
	_ [minTemplateLen - headerTail]struct{}
)

// Template is the headers of one flow, with lengths, identification and checksums open and everything else
// summed. It never changes after NewTemplate and holds no pointer: it may be copied, compared, and used by any
// number of goroutines at once. The zero value is not usable. Its methods take a pointer only because it is large.
type Template struct {
	hdr        [maxTemplateLen]byte
	headerLen  uint8 // Ethernet, tags, IP and UDP
	ipOffset   uint8
	ipLen      uint8 // 20 or 40
	v6         bool
	df         bool
	noChecksum bool
	// ipSum is the sum of the IPv4 header, of big-endian words, with length, ID and checksum zero.
	ipSum uint32
	// pseudoSum is the sum of the pseudo-header with length zero, udpSum that and the ports.
	pseudoSum, udpSum uint32
	plain             plain
}

// NewTemplate builds the headers of a flow. The error wraps ErrInvalidFlow and names every field that is wrong, with
// its value.
func NewTemplate(flow Flow) (Template, error) {
	if err := flow.validate(); err != nil {
		return Template{}, err
	}
	src, dst := flow.Src.Addr().Unmap(), flow.Dst.Addr().Unmap()
	t := Template{v6: dst.Is6(), df: flow.DF, noChecksum: flow.NoChecksum}

	eth := Ethernet(t.hdr[:])
	eth.SetDst(flow.DstMAC)
	eth.SetSrc(flow.SrcMAC)
	typeAt := EthernetLen - 2 // where the EtherType of what comes next goes
	putType := func(v uint16) { t.hdr[typeAt], t.hdr[typeAt+1] = byte(v>>8), byte(v) }
	for _, tag := range flow.VLANs {
		if tag.TPID == 0 {
			tag.TPID = EtherTypeVLAN
		}
		putType(tag.TPID)
		VLAN(t.hdr[typeAt+2:]).SetTCI(tag.TCI())
		typeAt += VLANTagLen
	}
	ipAt := typeAt + 2
	t.ipOffset = uint8(ipAt)

	ttl := flow.TTL
	if ttl == 0 {
		ttl = DefaultTTL
	}
	if t.v6 {
		putType(EtherTypeIPv6)
		t.ipLen = IPv6Len
		ip := IPv6(t.hdr[ipAt:])
		ip.SetVersionClassLabel(flow.TOS, flow.FlowLabel)
		ip.SetNextHeader(ProtocolUDP)
		ip.SetHopLimit(ttl)
		ip.SetSrc(src)
		ip.SetDst(dst)
	} else {
		putType(EtherTypeIPv4)
		t.ipLen = IPv4Len
		ip := IPv4(t.hdr[ipAt:])
		ip.SetVersionIHL(IPv4Len)
		ip.SetTOS(flow.TOS)
		ip.SetFragment(flow.DF, false, 0)
		ip.SetTTL(ttl)
		ip.SetProtocol(ProtocolUDP)
		ip.SetSrc(src)
		ip.SetDst(dst)
	}

	udpAt := ipAt + int(t.ipLen)
	udp := UDP(t.hdr[udpAt:])
	udp.SetSrcPort(flow.Src.Port())
	udp.SetDstPort(flow.Dst.Port())
	t.headerLen = uint8(udpAt + UDPLen)
	t.derive()
	return t, nil
}

// HeaderLen is the length of all headers of a whole datagram, from Ethernet to UDP: where its payload begins.
func (t *Template) HeaderLen() int { return int(t.headerLen) }

// Is6 reports whether the flow is IPv6.
func (t *Template) Is6() bool { return t.v6 }

// MaxPayload is the largest payload that fits into one packet of mtu octets (IP header included, Ethernet and tags
// not), never more than the protocol's limit of 65507 or 65527. It is negative when not even the headers fit.
func (t *Template) MaxPayload(mtu int) int {
	return min(mtu-int(t.ipLen)-UDPLen, t.maxDatagram())
}

// maxDatagram is the protocol's limit of a payload.
func (t *Template) maxDatagram() int {
	if t.v6 {
		return MaxIPv6Payload
	}
	return MaxIPv4Payload
}

// plainLen is the header of a plain datagram: Ethernet without tags, IPv4, UDP.
const plainLen = EthernetLen + IPv4Len + UDPLen

// plain is the header of a plain datagram as the words that are stored, with what is open zero, and its sums of
// little-endian words: so nothing has to be turned before it is stored. It is for flows that are nothing but that, and
// that send a checksum.
type plain struct {
	is            bool
	words         [plainLen / 8]uint64
	ipSum, udpSum uint32
}

// derive sums up the headers of a template, and makes their plain form.
func (t *Template) derive() {
	udpAt := int(t.headerLen) - UDPLen
	addresses := t.hdr[udpAt-8 : udpAt]
	if t.v6 {
		addresses = t.hdr[udpAt-32 : udpAt]
	} else {
		t.ipSum = uint32(Sum{acc: sumBytes(t.hdr[t.ipOffset:udpAt])}.Fold())
	}
	var sum Sum
	sum.Add(addresses)
	sum.AddUint16(uint16(ProtocolUDP))
	t.pseudoSum = uint32(sum.Fold())
	sum.Add(t.hdr[udpAt : udpAt+4]) // the ports
	t.udpSum = uint32(sum.Fold())
	p := &t.plain
	if p.is = !t.v6 && t.headerLen == plainLen && !t.noChecksum; !p.is {
		return
	}
	for i := range p.words {
		p.words[i] = binary.LittleEndian.Uint64(t.hdr[8*i:])
	}
	p.ipSum, p.udpSum = uint32(bits.ReverseBytes16(fold32(t.ipSum))), uint32(bits.ReverseBytes16(fold32(t.udpSum)))
}
