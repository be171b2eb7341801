// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
)

// snapshot is everything that a send needs to know about its socket. It never changes once it is published, so
// that a send reads one pointer and takes no lock.
type snapshot struct {
	options
	family   uint16
	endpoint Endpoint // nil for a socket that can't send
	receives bool     // endpoint is a ReceivingEndpoint
	category uint32

	// refuse is what every call but Close answers: STATUS_FILE_CLOSED or STATUS_FILE_FORCED_CLOSED. STATUS_SUCCESS: the
	// socket is open.
	refuse NTSTATUS

	bind  bindState
	local netip.AddrPort // valid when bound

	// The IP versions of destinations that row 10 of docs/wsk-mapping.md, status of a send, refuses.
	no4, no6 bool

	fixed       remote // destination of a send without an address
	hasFixed    bool
	fixedRemote fixedAddress // SIO_WSK_SET_REMOTE_ADDRESS
	fixedSendTo fixedAddress // SIO_WSK_SET_SENDTO_ADDRESS
	fixedOrder  uint64       // counts settings, to know the last one

	base [baseCount]Destination

	serial uint64 // no other has it; 0 before the first derive, when nothing is sent
}

var serials atomic.Uint64

type bindState uint8

const (
	unbound bindState = iota
	binding
	bound
)

// fixedAddress is one of the two fixed addresses. order 0 means not set.
type fixedAddress struct {
	remote
	order uint64
}

// derive computes what follows from the other fields.
func (sn *snapshot) derive() {
	sn.base = sn.options.bases()
	sn.serial = serials.Add(1)
	if sn.family == AF_INET6 {
		sn.no4 = sn.v6Only
		sn.no6 = false
		if addr := sn.local.Addr(); sn.bind == bound && !addr.IsUnspecified() {
			sn.no6 = addr.Is4In6()
			sn.no4 = sn.no4 || !addr.Is4In6()
		}
	}
	last := &sn.fixedRemote
	if sn.fixedSendTo.order > last.order {
		last = &sn.fixedSendTo
	}
	sn.fixed, sn.hasFixed = last.remote, last.order != 0
}

// reachable is row 10 of docs/wsk-mapping.md, status of a send: it refuses an IPv4 destination for a socket that is IPv6
// only or bound to an IPv6 address, and the reverse.
func (sn *snapshot) reachable(is4 bool) bool {
	if is4 {
		return !sn.no4
	}
	return !sn.no6
}

// direct fills in where op goes and how, by rows 6 to 13 of docs/wsk-mapping.md, status of a send, in their order. It keeps no reference to
// address and control.
func (sn *snapshot) direct(op *SendOp, address SOCKADDR, control []byte) NTSTATUS {
	if sn.endpoint == nil {
		return STATUS_INVALID_DEVICE_REQUEST
	}
	if sn.bind != bound {
		return STATUS_INVALID_DEVICE_STATE
	}
	if len(control) == 0 && op.aimed.isFor(sn, address) {
		op.Segment = sn.segment
		if op.longest > MaxPayload4 {
			return STATUS_INVALID_BUFFER_SIZE
		}
		return STATUS_SUCCESS
	}
	op.aimed = aimed{}
	var r remote
	if address == nil {
		if !sn.hasFixed {
			return STATUS_INVALID_PARAMETER
		}
		r = sn.fixed
	} else if status := r.parse(address, sn.family); status != STATUS_SUCCESS {
		return status
	}
	if r.port == 0 || r.IsUnspecified() {
		return STATUS_INVALID_ADDRESS_COMPONENT
	}
	if !sn.reachable(r.is4) {
		return STATUS_INVALID_ADDRESS_COMPONENT
	}
	sn.aim(&op.To, &r)
	op.Segment = sn.segment
	if len(control) != 0 {
		var c sendControl
		status := c.parse(control, r.is4)
		if status == STATUS_SUCCESS {
			status = c.apply(&op.To, r.scope)
		}
		if status != STATUS_SUCCESS {
			return status
		}
		if c.setSegment {
			op.Segment = c.segment
		}
	}
	if r.IsLimitedBroadcast() && !sn.broadcast {
		return STATUS_ACCESS_DENIED
	}
	limit := uintptr(MaxPayload6)
	if r.is4 {
		limit = MaxPayload4
	}
	if op.longest > limit {
		return STATUS_INVALID_BUFFER_SIZE
	}
	if sn.family == AF_INET && address != nil && len(control) == 0 {
		op.aimed = aimed{sn.serial, binary.LittleEndian.Uint64(address)}
	}
	return STATUS_SUCCESS
}

// aimed is what the destination of an operation was made of: an IRP that goes to the same again has it already. The zero one is
// for nothing. It names a snapshot by its number, so that an idle IRP keeps none alive.
type aimed struct {
	serial uint64
	to     uint64 // family, port and address of a SOCKADDR_IN
}

func (a *aimed) isFor(sn *snapshot, address SOCKADDR) bool {
	return a.serial == sn.serial && len(address) >= SizeofSockaddrIn && a.to == binary.LittleEndian.Uint64(address)
}

// aim merges an address with the options.
func (sn *snapshot) aim(to *Destination, r *remote) {
	i := baseUnicast6
	if r.is4 {
		i = baseUnicast4
	}
	if r.IsMulticast() {
		i++
	}
	*to = sn.base[i]
	r.Store(&to.Addr)
	to.Port = r.port
	if r.scope != 0 {
		to.IfIndex = r.scope
	}
}
