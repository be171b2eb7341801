// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"
	"net/netip"
)

// The Append functions add one object to a ControlInfo, padded so that the next can follow, and return the
// longer slice, as append does. b is a ControlInfo made by them, or empty.

// AppendCMsg appends an object with the given data.
func AppendCMsg(b []byte, level, typ int32, data []byte) []byte {
	b = appendHeader(b, level, typ, len(data))
	b = append(b, data...)
	return pad(b, len(data))
}

// AppendCMsgUint32 appends an object whose data is an INT, ULONG or DWORD.
func AppendCMsgUint32(b []byte, level, typ int32, value uint32) []byte {
	b = appendHeader(b, level, typ, 4)
	b = binary.LittleEndian.AppendUint32(b, value)
	return pad(b, 4)
}

// AppendPktinfo appends IP_PKTINFO for an IPv4 or v4-mapped source and IPV6_PKTINFO for any other. source is the wanted
// source address, or unspecified (0.0.0.0, ::) to leave it open; ifIndex is the wanted interface, or 0. An invalid
// source appends nothing.
func AppendPktinfo(b []byte, source netip.Addr, ifIndex uint32) []byte {
	source = source.Unmap()
	switch {
	case source.Is4():
		a := source.As4()
		b = appendHeader(b, IPPROTO_IP, IP_PKTINFO, 8)
		b = append(b, a[:]...)
		return binary.LittleEndian.AppendUint32(b, ifIndex)
	case source.Is6():
		a := source.As16()
		b = appendHeader(b, IPPROTO_IPV6, IPV6_PKTINFO, 20)
		b = append(b, a[:]...)
		return pad(binary.LittleEndian.AppendUint32(b, ifIndex), 20)
	}
	return b
}

// AppendTOS appends the whole TOS or traffic class byte: IP_TOS with is4, else IPV6_TCLASS.
func AppendTOS(b []byte, is4 bool, tos uint8) []byte {
	if is4 {
		return AppendCMsgUint32(b, IPPROTO_IP, IP_TOS, uint32(tos))
	}
	return AppendCMsgUint32(b, IPPROTO_IPV6, IPV6_TCLASS, uint32(tos))
}

// AppendECN appends the two ECN bits: IP_ECN with is4, else IPV6_ECN. Sends refuse 3 (congestion experienced).
func AppendECN(b []byte, is4 bool, ecn uint8) []byte {
	if is4 {
		return AppendCMsgUint32(b, IPPROTO_IP, IP_ECN, uint32(ecn))
	}
	return AppendCMsgUint32(b, IPPROTO_IPV6, IPV6_ECN, uint32(ecn))
}

// AppendTTL appends the TTL or hop limit: IP_TTL with is4, else IPV6_HOPLIMIT.
func AppendTTL(b []byte, is4 bool, ttl uint8) []byte {
	if is4 {
		return AppendCMsgUint32(b, IPPROTO_IP, IP_TTL, uint32(ttl))
	}
	return AppendCMsgUint32(b, IPPROTO_IPV6, IPV6_HOPLIMIT, uint32(ttl))
}

// AppendSendMsgSize appends UDP_SEND_MSG_SIZE: each buffer is cut into datagrams of that many payload bytes. With 0 it
// is not cut.
func AppendSendMsgSize(b []byte, size uint32) []byte {
	return AppendCMsgUint32(b, IPPROTO_UDP, UDP_SEND_MSG_SIZE, size)
}

func appendHeader(b []byte, level, typ int32, dataLen int) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(CMsgLen(dataLen)))
	b = binary.LittleEndian.AppendUint32(b, uint32(level))
	return binary.LittleEndian.AppendUint32(b, uint32(typ))
}

func pad(b []byte, dataLen int) []byte {
	var zero [8]byte
	return append(b, zero[:CMsgSpace(dataLen)-CMsgLen(dataLen)]...)
}
