// SPDX-License-Identifier: Apache-2.0

package wsk

import "net/netip"

// Relay begins an operation of no socket, for whoever sends on behalf of others through an [Endpoint] of its own: a
// service whose clients are other processes. It captures one datagram, or with segment one buffer that leaves as
// datagrams of that many bytes, and returns the operation for [Endpoint.Send] or [BatchEndpoint]. The completion routine
// and IoStatus of irp tell of the end as they do for [Socket.SendTo], and [IRP.Cancel] works. to and buf are read during
// the call only; the MDL chain belongs to the transport until irp completes.
//
// Whoever relays checks the destination with [ValidDestination], and closes the endpoint only when everything has
// completed: no socket does it for him. Relay returns nil, and begins nothing, if buf is against the rules of [Buf].
func (irp *IRP) Relay(to *Destination, buf *Buf, segment uint32) *SendOp {
	op := &irp.op
	if irp.pending() {
		irp.panicBegin()
	}
	if status := op.capture(buf); status != STATUS_SUCCESS {
		return nil
	}
	irp.begin() // one that has been cancelled ends where it would have to wait
	op.To, op.aimed = *to, aimed{}
	op.Segment = segment
	op.Transport = SendState{}
	op.progress.Store(0)
	op.irp, op.socket = irp, nil
	irp.PendingReturned = true
	return op
}

// ValidDestination checks what a [Socket] would not have let through, in a destination that comes from elsewhere: rows 7 to 12
// of docs/wsk-mapping.md, status of a send, as far as a Destination can still break them. family is the endpoint's.
//
//	STATUS_INVALID_ADDRESS_COMPONENT  a wildcard or port 0; IPv6 from an IPv4 endpoint; a source that is a wildcard, a
//	                                  group or of the other family
//	STATUS_INVALID_PARAMETER          a fragment policy or flag that does not exist, NoChecksum with IPv6, TTL 0
//	STATUS_ACCESS_DENIED              255.255.255.255 without AllowBroadcast
//
// Whether a subnet broadcast is allowed, and whether the source is local, only a route can tell.
func ValidDestination(family uint16, to *Destination) NTSTATUS {
	is4, addr := to.Is4(), to.IP()
	switch {
	case to.Port == 0, addr.IsUnspecified(), !is4 && family == AF_INET:
		return STATUS_INVALID_ADDRESS_COMPONENT
	case to.Fragment > IP_PMTUDISC_PROBE, to.Flags&^(AllowBroadcast|NoChecksum) != 0, to.TTL == 0,
		to.Flags&NoChecksum != 0 && !is4:
		return STATUS_INVALID_PARAMETER
	case addr == limitedBroadcast && to.Flags&AllowBroadcast == 0:
		return STATUS_ACCESS_DENIED
	}
	if to.Source == ([16]byte{}) {
		return STATUS_SUCCESS
	}
	if source := to.SourceIP(); source.Is4() != is4 || source.IsUnspecified() || source.IsMulticast() {
		return STATUS_INVALID_ADDRESS_COMPONENT
	}
	return STATUS_SUCCESS
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
