// SPDX-License-Identifier: Apache-2.0

package frame

// VerifyChecksums checks the IPv4 header's checksum and, of a whole datagram, that of UDP. p is what Parse made of b
// with ReasonOK, ReasonIPv4Options or ReasonFragment; b has not changed since. It does not allocate.
//
// A UDP checksum of 0 is right over IPv4 (RFC 768) and wrong over IPv6 (RFC 8200 section 8.1). Fragments are
// checked for the IPv4 header only: the UDP checksum covers the reassembled datagram.
//
// ReasonUDPPartialChecksum means that the field holds the bare sum of the pseudo-header, as in frames that a
// local sender left to its device and that never passed one (veth, loopback). The payload is then unverified but has
// not been on any wire. Whether to accept it depends on where the frame came from: on the wire this is a wrong checksum
// like any other.
func VerifyChecksums(b []byte, p *Packet) Reason {
	if !p.Is6() {
		if !IPv4(b[p.IPOffset:]).ChecksumOK() {
			return ReasonIPv4Checksum
		}
	}
	if p.PayloadOffset != p.UDPOffset+UDPLen {
		return ReasonOK // a fragment: its data begin where the UDP header does, or there is none
	}
	udp := UDP(b[p.UDPOffset : p.PayloadOffset+p.PayloadLen])
	if udp.Checksum() == 0 {
		if p.Is6() {
			return ReasonUDPNoChecksum
		}
		return ReasonOK
	}
	pseudo := PseudoHeaderSum(p.Src.Addr(), p.Dst.Addr(), ProtocolUDP, len(udp))
	sum := pseudo
	sum.Add(udp)
	switch {
	case sum.Checksum() == 0:
		return ReasonOK
	case udp.Checksum() == pseudo.Fold():
		return ReasonUDPPartialChecksum
	}
	return ReasonUDPChecksum
}
