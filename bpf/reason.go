// SPDX-License-Identifier: Apache-2.0

package bpf

import "fmt"

// Reason says what the program did with a frame, and why. A frame has one reason.
type Reason uint32

// Only ReasonRedirected took the frame away from the kernel. The values are those of enum wskxdp_reason in wskxdp.c.
const (
	// ReasonRedirected: it went to the AF_XDP socket of its queue.
	ReasonRedirected Reason = iota
	// ReasonNoSocket: a port entry owns it, but its queue has no AF_XDP socket.
	ReasonNoSocket
	// ReasonNoPort: UDP for a port that no entry owns.
	ReasonNoPort
	// ReasonNotLocal: an entry for any address has the port, but the destination is not the host's.
	ReasonNotLocal
	// ReasonGroup: an entry for any address has the port, but does not take this multicast or broadcast.
	ReasonGroup
	// ReasonMartian: an entry owns it, but an address is one that the kernel refuses from the wire.
	ReasonMartian
	// ReasonNotIP: ARP and every other Ethernet type.
	ReasonNotIP
	// ReasonNotUDP: TCP, ICMP and every other protocol over IP.
	ReasonNotUDP
	// ReasonVLAN: a VLAN that SetVLANs did not name, a second tag, or a service tag.
	ReasonVLAN
	// ReasonTruncated: the frame, or its first buffer, ends inside a header.
	ReasonTruncated
	// ReasonIPHeader: a version other than the Ethernet type says, or an IPv4 header length below 20.
	ReasonIPHeader
	// ReasonIPOptions: UDP behind IPv4 options.
	ReasonIPOptions
	// ReasonIPFragment: a fragment, the first included.
	ReasonIPFragment
	// ReasonIPExtension: an IPv6 extension header other than fragment comes first.
	ReasonIPExtension
	// ReasonIPLength: the IP length has no room for UDP, or reaches beyond the frame.
	ReasonIPLength
	// ReasonUDPLength: the UDP length is not what IP carries.
	ReasonUDPLength
	// ReasonUDPChecksum: UDP over IPv6 without checksum.
	ReasonUDPChecksum
	// ReasonTooLong: an entry owns it, but it is longer than Options.MaxFrame, or in several buffers without Options.MultiBuffer.
	ReasonTooLong
	// ReasonUDPPartial: an entry owns it, but its checksum was left to the device and the program runs where such a frame may be
	// several datagrams that nobody has cut yet.
	ReasonUDPPartial
	// NumReasons is the number of reasons.
	NumReasons
)

var reasonNames = [NumReasons]string{
	ReasonRedirected:  "redirected",
	ReasonNoSocket:    "no_socket",
	ReasonNoPort:      "no_port",
	ReasonNotLocal:    "not_local",
	ReasonGroup:       "group",
	ReasonMartian:     "martian",
	ReasonNotIP:       "not_ip",
	ReasonNotUDP:      "not_udp",
	ReasonVLAN:        "vlan",
	ReasonTruncated:   "truncated",
	ReasonIPHeader:    "ip_header",
	ReasonIPOptions:   "ip_options",
	ReasonIPFragment:  "ip_fragment",
	ReasonIPExtension: "ip_extension",
	ReasonIPLength:    "ip_length",
	ReasonUDPLength:   "udp_length",
	ReasonUDPChecksum: "udp_checksum",
	ReasonTooLong:     "too_long",
	ReasonUDPPartial:  "udp_partial",
}

// String returns a short name that suits a metric's label.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint32(r))
}
