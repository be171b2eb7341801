// SPDX-License-Identifier: Apache-2.0

package wsk

// Options of level SOL_SOCKET (ws2def.h, wsk.h). Every value is a ULONG.
const (
	SO_REUSEADDR           = 0x0004
	SO_KEEPALIVE           = 0x0008
	SO_DONTROUTE           = 0x0010
	SO_BROADCAST           = 0x0020
	SO_EXCLUSIVEADDRUSE    = 0xFFFFFFFB
	SO_SNDBUF              = 0x1001
	SO_RCVBUF              = 0x1002
	SO_SNDTIMEO            = 0x1005
	SO_RCVTIMEO            = 0x1006
	SO_ERROR               = 0x1007
	SO_TYPE                = 0x1008
	SO_MAX_MSG_SIZE        = 0x2003
	SO_CONDITIONAL_ACCEPT  = 0x3002
	SO_COMPARTMENT_ID      = 0x3004
	SO_RANDOMIZE_PORT      = 0x3005
	SO_PORT_SCALABILITY    = 0x3006
	SO_REUSE_UNICASTPORT   = 0x3007
	SO_REUSE_MULTICASTPORT = 0x3008
	SO_WSK_SECURITY        = 0x4001
	SO_WSK_EVENT_CALLBACK  = 0x4002
)

// Options and control data of level IPPROTO_IP (ws2ipdef.h).
const (
	IP_OPTIONS                = 1
	IP_HDRINCL                = 2
	IP_TOS                    = 3
	IP_TTL                    = 4
	IP_MULTICAST_IF           = 9
	IP_MULTICAST_TTL          = 10
	IP_MULTICAST_LOOP         = 11
	IP_ADD_MEMBERSHIP         = 12
	IP_DROP_MEMBERSHIP        = 13
	IP_DONTFRAGMENT           = 14
	IP_ADD_SOURCE_MEMBERSHIP  = 15
	IP_DROP_SOURCE_MEMBERSHIP = 16
	IP_BLOCK_SOURCE           = 17
	IP_UNBLOCK_SOURCE         = 18
	IP_PKTINFO                = 19
	IP_HOPLIMIT               = 21
	IP_RECVTTL                = 21
	IP_RECEIVE_BROADCAST      = 22
	IP_RECVIF                 = 24
	IP_RECVDSTADDR            = 25
	IP_IFLIST                 = 28
	IP_ADD_IFLIST             = 29
	IP_DEL_IFLIST             = 30
	IP_UNICAST_IF             = 31
	IP_RTHDR                  = 32
	IP_GET_IFLIST             = 33
	IP_RECVRTHDR              = 38
	IP_TCLASS                 = 39
	IP_RECVTOS                = 40
	IP_RECVTCLASS             = 40
	IP_ORIGINAL_ARRIVAL_IF    = 47
	IP_ECN                    = 50
	IP_RECVECN                = 50
	IP_PKTINFO_EX             = 51
	IP_WFP_REDIRECT_RECORDS   = 60
	IP_WFP_REDIRECT_CONTEXT   = 70
	IP_MTU_DISCOVER           = 71
	IP_MTU                    = 73
	IP_NRT_INTERFACE          = 74
	IP_RECVERR                = 75
	IP_USER_MTU               = 76
)

// Options and control data of level IPPROTO_IPV6 (ws2ipdef.h). IPV6_MTU is 72 although IP_MTU is 73.
const (
	IPV6_HOPOPTS              = 1
	IPV6_HDRINCL              = 2
	IPV6_UNICAST_HOPS         = 4
	IPV6_MULTICAST_IF         = 9
	IPV6_MULTICAST_HOPS       = 10
	IPV6_MULTICAST_LOOP       = 11
	IPV6_JOIN_GROUP           = 12
	IPV6_ADD_MEMBERSHIP       = 12
	IPV6_LEAVE_GROUP          = 13
	IPV6_DROP_MEMBERSHIP      = 13
	IPV6_DONTFRAG             = 14
	IPV6_PKTINFO              = 19
	IPV6_HOPLIMIT             = 21
	IPV6_PROTECTION_LEVEL     = 23
	IPV6_RECVIF               = 24
	IPV6_RECVDSTADDR          = 25
	IPV6_CHECKSUM             = 26
	IPV6_V6ONLY               = 27
	IPV6_IFLIST               = 28
	IPV6_ADD_IFLIST           = 29
	IPV6_DEL_IFLIST           = 30
	IPV6_UNICAST_IF           = 31
	IPV6_RTHDR                = 32
	IPV6_GET_IFLIST           = 33
	IPV6_RECVRTHDR            = 38
	IPV6_TCLASS               = 39
	IPV6_RECVTCLASS           = 40
	IPV6_ORIGINAL_ARRIVAL_IF  = 47
	IPV6_ECN                  = 50
	IPV6_RECVECN              = 50
	IPV6_PKTINFO_EX           = 51
	IPV6_WFP_REDIRECT_RECORDS = 60
	IPV6_WFP_REDIRECT_CONTEXT = 70
	IPV6_MTU_DISCOVER         = 71
	IPV6_MTU                  = 72
	IPV6_NRT_INTERFACE        = 74
	IPV6_RECVERR              = 75
	IPV6_USER_MTU             = 76
)

// Multicast options on both IP levels (ws2ipdef.h, RFC 3678).
const (
	MCAST_JOIN_GROUP         = 41
	MCAST_LEAVE_GROUP        = 42
	MCAST_BLOCK_SOURCE       = 43
	MCAST_UNBLOCK_SOURCE     = 44
	MCAST_JOIN_SOURCE_GROUP  = 45
	MCAST_LEAVE_SOURCE_GROUP = 46
)

// Options and control data of level IPPROTO_UDP (ws2ipdef.h).
const (
	UDP_NOCHECKSUM              = 1
	UDP_SEND_MSG_SIZE           = 2
	UDP_RECV_MAX_COALESCED_SIZE = 3
	UDP_COALESCED_INFO          = 3
	UDP_CHECKSUM_COVERAGE       = 20
)

// FragmentPolicy says what happens to a datagram that is larger than the path: a value of IP_MTU_DISCOVER.
type FragmentPolicy uint8

// Values of IP_MTU_DISCOVER and IPV6_MTU_DISCOVER (PMTUD_STATE, ws2ipdef.h).
const (
	// IP_PMTUDISC_NOT_SET is the system's default: fragment what is too large.
	IP_PMTUDISC_NOT_SET FragmentPolicy = iota
	// IP_PMTUDISC_DO sets DF; a datagram larger than the path MTU is an error.
	IP_PMTUDISC_DO
	// IP_PMTUDISC_DONT clears DF and fragments.
	IP_PMTUDISC_DONT
	// IP_PMTUDISC_PROBE sets DF; only a datagram larger than the interface's own MTU is an error.
	IP_PMTUDISC_PROBE
	// IP_PMTUDISC_MAX is the end of the range, not a value.
	IP_PMTUDISC_MAX
)

// The largest UDP payloads: the 16-bit total length of IPv4 less its header of 20 bytes, and the 16-bit payload length
// of IPv6 (RFC 768, 791, 8200), each less the UDP header.
const (
	MaxPayload4 = 65507
	MaxPayload6 = 65527
)
