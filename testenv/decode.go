// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Sentinels for what Decode objects to; errors.Is tells them apart.
var (
	ErrMalformed   = errors.New("malformed frame")
	ErrBadChecksum = errors.New("bad checksum")
)

// Packet is a decoded Ethernet frame. Slices point into the frame.
type Packet struct {
	SourceMAC, DestinationMAC net.HardwareAddr
	// VLANs are the tag control words, outermost first.
	VLANs []uint16
	// EtherType is the one behind the tags.
	EtherType uint16

	// The rest is valid when Version is 4 or 6.
	Version             int
	Source, Destination netip.Addr
	TOS                 uint8 // or traffic class
	TTL                 uint8 // or hop limit
	ID                  uint32
	FlowLabel           uint32
	DontFragment        bool
	// Fragment says that the packet is part of a datagram: FragmentOffset in bytes, MoreFragments if not the last.
	Fragment       bool
	FragmentOffset int
	MoreFragments  bool
	Protocol       uint8  // of what the IP payload is, or is a fragment of
	IPPayload      []byte // behind all IP headers, without link layer padding

	// The rest is valid when UDP is set: a whole datagram.
	UDP                         bool
	SourcePort, DestinationPort uint16
	UDPLength                   int
	UDPChecksum                 uint16
	Payload                     []byte
}

// Decode decodes a frame and checks everything in it that can be checked: lengths, the IPv4 header checksum, the UDP
// checksum of a whole datagram (0 is allowed over IPv4 only), ICMP checksums. It uses gopacket and a plain 16-bit
// sum, and nothing of package frame.
//
// The packet is returned as far as it could be decoded even with an error, which wraps ErrMalformed or
// ErrBadChecksum.
func Decode(frame []byte) (*Packet, error) {
	p := &Packet{}
	decoded := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
	eth, ok := decoded.LinkLayer().(*layers.Ethernet)
	if !ok {
		return p, fmt.Errorf("%w: no Ethernet header in %d bytes", ErrMalformed, len(frame))
	}
	p.SourceMAC, p.DestinationMAC, p.EtherType = eth.SrcMAC, eth.DstMAC, uint16(eth.EthernetType)
	for _, l := range decoded.Layers() {
		if tag, ok := l.(*layers.Dot1Q); ok {
			tci := uint16(tag.Priority)<<13 | tag.VLANIdentifier
			if tag.DropEligible {
				tci |= 1 << 12
			}
			p.VLANs = append(p.VLANs, tci)
			p.EtherType = uint16(tag.Type)
		}
	}
	var err error
	switch p.EtherType {
	case uint16(layers.EthernetTypeIPv4):
		err = p.decodeIPv4(decoded)
	case uint16(layers.EthernetTypeIPv6):
		err = p.decodeIPv6(decoded)
	default:
		return p, nil
	}
	if err != nil || p.Fragment {
		return p, err
	}
	return p, p.decodeTransport(p.IPPayload)
}

func (p *Packet) decodeIPv4(decoded gopacket.Packet) error {
	ip, ok := decoded.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	// gopacket adds the layer even when the header is cut short.
	if !ok || len(ip.Contents) < 20 {
		return malformed(decoded, "IPv4 header")
	}
	p.Version = 4
	p.Source, _ = netip.AddrFromSlice(ip.SrcIP.To4())
	p.Destination, _ = netip.AddrFromSlice(ip.DstIP.To4())
	p.TOS, p.TTL, p.ID, p.Protocol = ip.TOS, ip.TTL, uint32(ip.Id), uint8(ip.Protocol)
	p.DontFragment = ip.Flags&layers.IPv4DontFragment != 0
	p.MoreFragments = ip.Flags&layers.IPv4MoreFragments != 0
	p.FragmentOffset = int(ip.FragOffset) * 8
	p.Fragment = p.MoreFragments || p.FragmentOffset != 0
	p.IPPayload = ip.Payload
	if want := int(ip.Length) - int(ip.IHL)*4; len(ip.Payload) != want {
		return fmt.Errorf("%w: IPv4 total length %d, %d bytes of payload", ErrMalformed, ip.Length, len(ip.Payload))
	}
	if sum := fold(ip.Contents); sum != 0xffff {
		return fmt.Errorf("%w: IPv4 header %v > %v sums to %#04x", ErrBadChecksum, p.Source, p.Destination, sum)
	}
	return nil
}

func (p *Packet) decodeIPv6(decoded gopacket.Packet) error {
	ip, ok := decoded.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	if !ok || len(ip.Contents) != 40 {
		return malformed(decoded, "IPv6 header")
	}
	p.Version = 6
	p.Source, _ = netip.AddrFromSlice(ip.SrcIP.To16())
	p.Destination, _ = netip.AddrFromSlice(ip.DstIP.To16())
	p.TOS, p.TTL, p.FlowLabel, p.Protocol = ip.TrafficClass, ip.HopLimit, ip.FlowLabel, uint8(ip.NextHeader)
	p.IPPayload = ip.Payload
	if hop, ok := decoded.Layer(layers.LayerTypeIPv6HopByHop).(*layers.IPv6HopByHop); ok {
		p.Protocol, p.IPPayload = uint8(hop.NextHeader), hop.Payload
	} else if int(ip.Length) != len(ip.Payload) {
		return fmt.Errorf("%w: IPv6 payload length %d, %d bytes of payload", ErrMalformed, ip.Length, len(ip.Payload))
	}
	if p.Protocol != uint8(layers.IPProtocolIPv6Fragment) {
		return nil
	}
	fragment, ok := decoded.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
	if !ok || len(fragment.Contents) != 8 {
		return malformed(decoded, "IPv6 fragment header")
	}
	p.Fragment, p.ID, p.Protocol = true, fragment.Identification, uint8(fragment.NextHeader)
	p.FragmentOffset, p.MoreFragments = int(fragment.FragmentOffset)*8, fragment.MoreFragments
	p.IPPayload = fragment.Payload
	return nil
}

// decodeTransport takes the whole IP payload of the datagram that p describes.
func (p *Packet) decodeTransport(payload []byte) error {
	pseudo := p.pseudoHeader(len(payload))
	switch layers.IPProtocol(p.Protocol) {
	case layers.IPProtocolUDP:
		var udp layers.UDP
		if err := udp.DecodeFromBytes(payload, gopacket.NilDecodeFeedback); err != nil {
			return fmt.Errorf("%w: UDP: %w", ErrMalformed, err)
		}
		p.UDP, p.SourcePort, p.DestinationPort = true, uint16(udp.SrcPort), uint16(udp.DstPort)
		p.UDPLength, p.UDPChecksum, p.Payload = int(udp.Length), udp.Checksum, payload[8:]
		if p.UDPLength != len(payload) {
			return fmt.Errorf("%w: UDP length %d in %d bytes", ErrMalformed, p.UDPLength, len(payload))
		}
		if udp.Checksum == 0 {
			if p.Version == 6 {
				return fmt.Errorf("%w: UDP over IPv6 without checksum (RFC 8200 section 8.1)", ErrBadChecksum)
			}
			return nil
		}
		return p.checkSum("UDP", pseudo, payload)
	case layers.IPProtocolICMPv4:
		return p.checkSum("ICMP", nil, payload)
	case layers.IPProtocolICMPv6:
		return p.checkSum("ICMPv6", pseudo, payload)
	}
	return nil
}

func (p *Packet) checkSum(what string, parts ...[]byte) error {
	if sum := fold(parts...); sum != 0xffff {
		return fmt.Errorf("%w: %s %v > %v, %d bytes, sums to %#04x", ErrBadChecksum, what, p.Source, p.Destination,
			len(parts[len(parts)-1]), sum)
	}
	return nil
}

// pseudoHeader: RFC 768 for IPv4, RFC 8200 section 8.1 for IPv6.
func (p *Packet) pseudoHeader(length int) []byte {
	source, destination := p.Source.AsSlice(), p.Destination.AsSlice()
	out := append(append([]byte{}, source...), destination...)
	if p.Version == 4 {
		return binary.BigEndian.AppendUint16(append(out, 0, p.Protocol), uint16(length))
	}
	return append(binary.BigEndian.AppendUint32(out, uint32(length)), 0, 0, 0, p.Protocol)
}

// fold is the one's complement sum of RFC 1071 in its plainest form, padding each part to an even length; 0xffff
// means right.
func fold(parts ...[]byte) uint16 {
	var sum uint64
	for _, b := range parts {
		for ; len(b) > 1; b = b[2:] {
			sum += uint64(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint64(b[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func malformed(decoded gopacket.Packet, what string) error {
	if e := decoded.ErrorLayer(); e != nil {
		return fmt.Errorf("%w: %s: %w", ErrMalformed, what, e.Error())
	}
	return fmt.Errorf("%w: no %s", ErrMalformed, what)
}
