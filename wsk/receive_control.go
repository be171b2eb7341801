// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// receiveObjects are the control data objects that a socket wants with what it receives, one set for each IP level.
type receiveObjects uint16

const (
	wantPktinfo     receiveObjects = 1 << iota // IP_PKTINFO, IPV6_PKTINFO
	wantTTL                                    // IP_RECVTTL, IPV6_HOPLIMIT
	wantTOS                                    // IP_RECVTOS, IPV6_RECVTCLASS
	wantECN                                    // IP_RECVECN, IPV6_RECVECN
	wantDestination                            // IP_RECVDSTADDR, IPV6_RECVDSTADDR
	wantInterface                              // IP_RECVIF, IPV6_RECVIF
	wantErrors                                 // IP_RECVERR, IPV6_RECVERR
)

// receiveOption is the object that an option of either level asks for. The numbers of the options are the same on both.
func receiveOption(code uint32) receiveObjects {
	switch code {
	case IP_PKTINFO:
		return wantPktinfo
	case IP_RECVTTL:
		return wantTTL
	case IP_RECVTOS:
		return wantTOS
	case IP_RECVECN:
		return wantECN
	case IP_RECVDSTADDR:
		return wantDestination
	case IP_RECVIF:
		return wantInterface
	case IP_RECVERR:
		return wantErrors
	}
	return 0
}

// maxReceiveControl is room for every object at once: 40 bytes for IPV6_PKTINFO, 24 each for TTL, TOS, ECN, interface
// and coalesced size, 32 each for the IPv6 destination and IN_RECVERR.
const maxReceiveControl = 40 + 5*24 + 2*32

// receiveControl writes the objects for a datagram to b. It returns the bytes used and whether there was room for all.
// Which objects they are is decided by the datagram's own IP version, and the options of that level, not by the
// socket's family.
func (sn *snapshot) receiveControl(b []byte, d *Datagram) (used int, whole bool) {
	is4 := d.is4()
	want := sn.ip6.receive
	if is4 {
		want = sn.ip4.receive
	}
	if want == 0 && d.Segment == 0 {
		return 0, true
	}
	if len(b) >= maxReceiveControl {
		return len(appendReceiveControl(b[:0], want, d, is4)), true
	}
	var room [maxReceiveControl]byte
	control := appendReceiveControl(room[:0], want, d, is4)
	at := 0
	for at < len(control) {
		n := int(binary.LittleEndian.Uint64(control[at:])) // cmsg_len, of our own making
		if used+n > len(b) {
			break
		}
		next := at + (n+7)&^7
		used += copy(b[used:], control[at:next]) // there may be no room for the padding of the last
		at = next
	}
	return used, at == len(control)
}

func appendReceiveControl(b []byte, want receiveObjects, d *Datagram, is4 bool) []byte {
	known := d.Err == nil // an ICMP error does not tell how the datagram would have arrived
	destination := d.Destination != [16]byte{}
	if want&wantPktinfo != 0 && destination {
		b = appendReceivedPktinfo(b, d, is4)
	}
	if want&wantTTL != 0 && known {
		b = AppendTTL(b, is4, d.TTL)
	}
	if want&wantTOS != 0 && known {
		b = AppendTOS(b, is4, d.TOS)
	}
	if want&wantECN != 0 && known {
		b = AppendECN(b, is4, d.TOS&3)
	}
	if want&wantDestination != 0 && destination {
		if is4 {
			b = AppendCMsg(b, IPPROTO_IP, IP_RECVDSTADDR, d.Destination[12:])
		} else {
			b = AppendCMsg(b, IPPROTO_IPV6, IPV6_RECVDSTADDR, d.Destination[:])
		}
	}
	if want&wantInterface != 0 && d.IfIndex != 0 {
		b = AppendCMsgUint32(b, ipLevel(is4), IP_RECVIF, d.IfIndex)
	}
	if want&wantErrors != 0 && d.Err != nil {
		b = appendReceiveError(b, d.Err, is4)
	}
	if d.Segment != 0 {
		b = AppendCMsgUint32(b, IPPROTO_UDP, UDP_COALESCED_INFO, uint32(d.Segment))
	}
	return b
}

func ipLevel(is4 bool) int32 {
	if is4 {
		return IPPROTO_IP
	}
	return IPPROTO_IPV6
}

// appendReceivedPktinfo appends IN_PKTINFO or IN6_PKTINFO: the address that the datagram was sent to and the
// interface that it came in through.
func appendReceivedPktinfo(b []byte, d *Datagram, is4 bool) []byte {
	if is4 {
		b = appendHeader(b, IPPROTO_IP, IP_PKTINFO, 8)
		b = append(b, d.Destination[12:]...)
		return binary.LittleEndian.AppendUint32(b, d.IfIndex)
	}
	b = appendHeader(b, IPPROTO_IPV6, IPV6_PKTINFO, 20)
	b = append(b, d.Destination[:]...)
	return pad(binary.LittleEndian.AppendUint32(b, d.IfIndex), 20)
}

// SizeofInRecverr is the size of IN_RECVERR, the data of an IP_RECVERR or IPV6_RECVERR object.
const SizeofInRecverr = 12

// appendReceiveError appends IN_RECVERR: protocol INT 0, info ULONG 4, type UCHAR 8, code UCHAR 9, two bytes of
// padding.
func appendReceiveError(b []byte, e *ReceiveError, is4 bool) []byte {
	b = appendHeader(b, ipLevel(is4), IP_RECVERR, SizeofInRecverr)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Protocol))
	b = binary.LittleEndian.AppendUint32(b, e.Info)
	return pad(append(b, e.Type, e.Code, 0, 0), SizeofInRecverr)
}

// ParseReceiveError reads the data of an IP_RECVERR or IPV6_RECVERR object. It reports false when there are too few
// bytes.
func ParseReceiveError(data []byte) (ReceiveError, bool) {
	if len(data) < SizeofInRecverr {
		return ReceiveError{}, false
	}
	return ReceiveError{
		Protocol: data[0], Info: binary.LittleEndian.Uint32(data[4:]), Type: data[8], Code: data[9],
	}, true
}
