// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// wsk.md §10 item 1: literal numbers from wsk.md §§1, 4.5, 5.2 and 6, not derived from the constants.
func TestConstants(t *testing.T) {
	type row struct {
		name      string
		got, want uint32
	}
	rows := []row{
		{"AF_INET", wsk.AF_INET, 2}, {"AF_INET6", wsk.AF_INET6, 23},
		{"SOL_SOCKET", wsk.SOL_SOCKET, 0xFFFF}, {"IPPROTO_IPV6", wsk.IPPROTO_IPV6, 41}, {"IPPROTO_UDP", wsk.IPPROTO_UDP, 17},
		{"SO_REUSEADDR", wsk.SO_REUSEADDR, 4}, {"SO_EXCLUSIVEADDRUSE", wsk.SO_EXCLUSIVEADDRUSE, 0xFFFFFFFB},
		{"SO_BROADCAST", wsk.SO_BROADCAST, 0x20}, {"SO_SNDBUF", wsk.SO_SNDBUF, 0x1001}, {"SO_RCVBUF", wsk.SO_RCVBUF, 0x1002},
		{"SO_TYPE", wsk.SO_TYPE, 0x1008}, {"SO_MAX_MSG_SIZE", wsk.SO_MAX_MSG_SIZE, 0x2003},
		{"SO_WSK_SECURITY", wsk.SO_WSK_SECURITY, 0x4001}, {"SO_WSK_EVENT_CALLBACK", wsk.SO_WSK_EVENT_CALLBACK, 0x4002},
		{"SIO_WSK_SET_REMOTE_ADDRESS", wsk.SIO_WSK_SET_REMOTE_ADDRESS, 0x8F000001},
		{"SIO_WSK_REGISTER_EXTENSION", wsk.SIO_WSK_REGISTER_EXTENSION, 0xCF000002},
		{"SIO_WSK_QUERY_IDEAL_SEND_BACKLOG", wsk.SIO_WSK_QUERY_IDEAL_SEND_BACKLOG, 0x4F000003},
		{"SIO_WSK_QUERY_RECEIVE_BACKLOG", wsk.SIO_WSK_QUERY_RECEIVE_BACKLOG, 0x4F000004},
		{"SIO_WSK_QUERY_INSPECT_ID", wsk.SIO_WSK_QUERY_INSPECT_ID, 0x4F000005},
		{"SIO_WSK_SET_SENDTO_ADDRESS", wsk.SIO_WSK_SET_SENDTO_ADDRESS, 0x8F000006},
		{"SIO_WSK_SET_TCP_SILENT_MODE", wsk.SIO_WSK_SET_TCP_SILENT_MODE, 0x2F000007},
		{"SIO_ADDRESS_LIST_QUERY", wsk.SIO_ADDRESS_LIST_QUERY, 0x48000016},
		{"SIO_ADDRESS_LIST_CHANGE", wsk.SIO_ADDRESS_LIST_CHANGE, 0x28000017},
		{"SIO_ADDRESS_LIST_SORT", wsk.SIO_ADDRESS_LIST_SORT, 0xC8000019},
		{"SIO_ROUTING_INTERFACE_QUERY", wsk.SIO_ROUTING_INTERFACE_QUERY, 0xC8000014},
		{"SIO_QUERY_RSS_SCALABILITY_INFO", wsk.SIO_QUERY_RSS_SCALABILITY_INFO, 0x580000D2},
		{"SIO_QUERY_RSS_PROCESSOR_INFO", wsk.SIO_QUERY_RSS_PROCESSOR_INFO, 0x48000025},
		{"SIO_UDP_CONNRESET", wsk.SIO_UDP_CONNRESET, 0x9800000C}, {"SIO_UDP_NETRESET", wsk.SIO_UDP_NETRESET, 0x9800000F},
		{"SIO_CPU_AFFINITY", wsk.SIO_CPU_AFFINITY, 0x98000015}, {"SIO_TIMESTAMPING", wsk.SIO_TIMESTAMPING, 0x980000EB},
		{"IP_TOS", wsk.IP_TOS, 3}, {"IP_TTL", wsk.IP_TTL, 4}, {"IP_MULTICAST_IF", wsk.IP_MULTICAST_IF, 9},
		{"IP_MULTICAST_TTL", wsk.IP_MULTICAST_TTL, 10}, {"IP_DONTFRAGMENT", wsk.IP_DONTFRAGMENT, 14},
		{"IP_PKTINFO", wsk.IP_PKTINFO, 19}, {"IP_HOPLIMIT", wsk.IP_HOPLIMIT, 21}, {"IP_UNICAST_IF", wsk.IP_UNICAST_IF, 31},
		{"IP_RECVTOS", wsk.IP_RECVTOS, 40}, {"IP_ECN", wsk.IP_ECN, 50}, {"IP_PKTINFO_EX", wsk.IP_PKTINFO_EX, 51},
		{"IP_WFP_REDIRECT_RECORDS", wsk.IP_WFP_REDIRECT_RECORDS, 60}, {"IP_MTU_DISCOVER", wsk.IP_MTU_DISCOVER, 71},
		{"IP_MTU", wsk.IP_MTU, 73}, {"IP_RECVERR", wsk.IP_RECVERR, 75}, {"IP_USER_MTU", wsk.IP_USER_MTU, 76},
		{"IPV6_UNICAST_HOPS", wsk.IPV6_UNICAST_HOPS, 4}, {"IPV6_MULTICAST_IF", wsk.IPV6_MULTICAST_IF, 9},
		{"IPV6_MULTICAST_HOPS", wsk.IPV6_MULTICAST_HOPS, 10}, {"IPV6_DONTFRAG", wsk.IPV6_DONTFRAG, 14},
		{"IPV6_PKTINFO", wsk.IPV6_PKTINFO, 19}, {"IPV6_HOPLIMIT", wsk.IPV6_HOPLIMIT, 21},
		{"IPV6_V6ONLY", wsk.IPV6_V6ONLY, 27}, {"IPV6_UNICAST_IF", wsk.IPV6_UNICAST_IF, 31},
		{"IPV6_RTHDR", wsk.IPV6_RTHDR, 32}, {"IPV6_TCLASS", wsk.IPV6_TCLASS, 39}, {"IPV6_ECN", wsk.IPV6_ECN, 50},
		{"IPV6_MTU_DISCOVER", wsk.IPV6_MTU_DISCOVER, 71}, {"IPV6_MTU", wsk.IPV6_MTU, 72},
		{"UDP_NOCHECKSUM", wsk.UDP_NOCHECKSUM, 1}, {"UDP_SEND_MSG_SIZE", wsk.UDP_SEND_MSG_SIZE, 2},
		{"UDP_RECV_MAX_COALESCED_SIZE", wsk.UDP_RECV_MAX_COALESCED_SIZE, 3}, {"MCAST_JOIN_GROUP", wsk.MCAST_JOIN_GROUP, 41},
		{"MSG_TRUNC", wsk.MSG_TRUNC, 0x100}, {"MSG_CTRUNC", wsk.MSG_CTRUNC, 0x200}, {"MSG_BCAST", wsk.MSG_BCAST, 0x400},
		{"MSG_MCAST", wsk.MSG_MCAST, 0x800}, {"WSK_FLAG_AT_DISPATCH_LEVEL", wsk.WSK_FLAG_AT_DISPATCH_LEVEL, 8},
		{"WSK_FLAG_DATAGRAM_SOCKET", wsk.WSK_FLAG_DATAGRAM_SOCKET, 4}, {"WSK_FLAG_STREAM_SOCKET", wsk.WSK_FLAG_STREAM_SOCKET, 8},
		{"WSK_EVENT_RECEIVE_FROM", wsk.WSK_EVENT_RECEIVE_FROM, 0x100}, {"WSK_EVENT_DISABLE", wsk.WSK_EVENT_DISABLE, 0x80000000},
		{"WSK_TRANSPORT_LIST_QUERY", wsk.WSK_TRANSPORT_LIST_QUERY, 2}, {"WSK_TDI_BEHAVIOR", wsk.WSK_TDI_BEHAVIOR, 8},
		{"WskSetOption", uint32(wsk.WskSetOption), 0}, {"WskGetOption", uint32(wsk.WskGetOption), 1},
		{"WskIoctl", uint32(wsk.WskIoctl), 2}, {"WskControlMax", uint32(wsk.WskControlMax), 3},
		{"IP_PMTUDISC_DO", uint32(wsk.IP_PMTUDISC_DO), 1}, {"IP_PMTUDISC_PROBE", uint32(wsk.IP_PMTUDISC_PROBE), 3},
		{"SL_INVOKE_ON_CANCEL", uint32(wsk.SL_INVOKE_ON_CANCEL), 0x20}, {"SL_INVOKE_ON_ERROR", uint32(wsk.SL_INVOKE_ON_ERROR), 0x80},
		{"MakeVersion(1,0)", uint32(wsk.MakeVersion(1, 0)), 0x100},
	}
	for _, r := range rows {
		if r.got != r.want {
			t.Errorf("%s = 0x%X, want 0x%X", r.name, r.got, r.want)
		}
	}
}

// wsk.md §10 item 4: the numbers that Linux has for these are refused.
func TestLinuxConstantsAreRefused(t *testing.T) {
	h := newHost(t)
	const linuxAF_INET6 = 10
	_, status := h.trySocket(linuxAF_INET6, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET)
	want(t, "AF_INET6 of Linux", status, wsk.STATUS_PROTOCOL_NOT_SUPPORTED)

	s := h.bound("0.0.0.0:1000")
	const linuxSOL_SOCKET, linuxSO_BROADCAST = 1, 6
	want(t, "SOL_SOCKET of Linux", h.set(s, linuxSOL_SOCKET, linuxSO_BROADCAST, 1), wsk.STATUS_NOT_SUPPORTED)
	const linuxIP_PKTINFO, linuxIP_TTL = 8, 2
	pktinfo := wsk.AppendCMsg(nil, wsk.IPPROTO_IP, linuxIP_PKTINFO, make([]byte, 12))
	want(t, "IP_PKTINFO of Linux", h.send(s, "x", "192.0.2.1:9", pktinfo), wsk.STATUS_INVALID_PARAMETER)
	ttl := wsk.AppendCMsgUint32(nil, wsk.IPPROTO_IP, linuxIP_TTL, 9)
	want(t, "IP_TTL of Linux", h.send(s, "x", "192.0.2.1:9", ttl), wsk.STATUS_INVALID_PARAMETER)
	tos := wsk.AppendCMsg(nil, wsk.IPPROTO_IP, wsk.IP_TOS, []byte{0x10})
	want(t, "IP_TOS of one byte", h.send(s, "x", "192.0.2.1:9", tos), wsk.STATUS_INVALID_PARAMETER)
	const linuxUDP_SEGMENT = 103
	segment := wsk.AppendCMsg(nil, wsk.IPPROTO_UDP, linuxUDP_SEGMENT, []byte{0, 4})
	want(t, "UDP_SEGMENT of Linux", h.send(s, "x", "192.0.2.1:9", segment), wsk.STATUS_INVALID_PARAMETER)
}
