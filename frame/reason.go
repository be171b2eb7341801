// SPDX-License-Identifier: Apache-2.0

package frame

import "strconv"

// Reason is what Parse and VerifyChecksums found. The zero value is ReasonOK; the numbers are dense from there to
// NumReasons-1, so that an array can count them, and may change between versions.
type Reason uint8

// What Parse finds, in the order in which it looks.
const (
	ReasonOK                Reason = iota // one whole UDP datagram
	ReasonEthernetShort                   // fewer than 14 octets
	ReasonVLANShort                       // the frame ends in a tag
	ReasonVLANDepth                       // more than MaxVLANTags tags
	ReasonNotIP                           // another EtherType, or an 802.3 length
	ReasonIPv4Short                       // fewer than 20 octets of packet
	ReasonIPv4Version                     // the version is not 4
	ReasonIPv4HeaderLength                // the header length is below 20 or past the end
	ReasonIPv4TotalLength                 // the total length is below the header's or past the end
	ReasonIPv6Short                       // fewer than 40 octets of packet
	ReasonIPv6Version                     // the version is not 6
	ReasonIPv6PayloadLength               // the payload length is past the end
	ReasonIPv6FragmentShort               // the packet ends in the fragment header
	ReasonIPv6Extension                   // an extension header that is not followed
	ReasonNotUDP                          // another protocol
	ReasonBadFragment                     // a fragment that cannot be part of any packet
	ReasonFragment                        // a fragment; its fields are valid
	ReasonUDPShort                        // fewer than 8 octets of datagram
	ReasonUDPLength                       // the UDP length is below 8 or past the end
	ReasonIPv4Options                     // a whole UDP datagram, but behind IPv4 options

	// What VerifyChecksums finds.
	ReasonIPv4Checksum       // the header checksum is wrong
	ReasonUDPChecksum        // the UDP checksum is wrong
	ReasonUDPPartialChecksum // the field holds the pseudo-header sum only: a local sender left the rest to its device
	ReasonUDPNoChecksum      // zero over IPv6

	// NumReasons is the number of Reasons.
	NumReasons = iota
)

var reasonNames = [NumReasons]string{
	ReasonOK:                 "ok",
	ReasonEthernetShort:      "ethernet header cut short",
	ReasonVLANShort:          "vlan tag cut short",
	ReasonVLANDepth:          "too many vlan tags",
	ReasonNotIP:              "not an ip packet",
	ReasonIPv4Short:          "ipv4 header cut short",
	ReasonIPv4Version:        "ipv4 version is not 4",
	ReasonIPv4HeaderLength:   "ipv4 header length out of range",
	ReasonIPv4TotalLength:    "ipv4 total length out of range",
	ReasonIPv6Short:          "ipv6 header cut short",
	ReasonIPv6Version:        "ipv6 version is not 6",
	ReasonIPv6PayloadLength:  "ipv6 payload length out of range",
	ReasonIPv6FragmentShort:  "ipv6 fragment header cut short",
	ReasonIPv6Extension:      "ipv6 extension header",
	ReasonNotUDP:             "not udp",
	ReasonBadFragment:        "impossible fragment",
	ReasonFragment:           "fragment",
	ReasonUDPShort:           "udp header cut short",
	ReasonUDPLength:          "udp length out of range",
	ReasonIPv4Options:        "ipv4 options",
	ReasonIPv4Checksum:       "ipv4 header checksum wrong",
	ReasonUDPChecksum:        "udp checksum wrong",
	ReasonUDPPartialChecksum: "udp checksum left to the device",
	ReasonUDPNoChecksum:      "udp checksum missing over ipv6",
}

// String says the reason in a few lower-case words.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "reason " + strconv.Itoa(int(r))
}
