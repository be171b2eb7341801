// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"net/netip"
	"strconv"
)

// AddrInfo is ADDRINFOEXW: hints for a name query, and a node of its result. The members for name spaces other than
// DNS (ai_blob, ai_provider) have no use here.
type AddrInfo struct {
	Flags         uint32 // AI_ flags
	Family        uint16 // AF_UNSPEC: any
	SocketType    uint16 // 0: any
	Protocol      uint32 // 0: any
	CanonicalName string // of the first node, with AI_CANONNAME
	Address       SOCKADDR
	Next          *AddrInfo
}

// Flags of a name query (ws2def.h).
const (
	AI_PASSIVE     = 0x1
	AI_CANONNAME   = 0x2
	AI_NUMERICHOST = 0x4
	AI_NUMERICSERV = 0x8
)

// Name spaces (nspapi.h).
const (
	NS_ALL = 0
	NS_DNS = 12
)

// GetAddressInfo is WskGetAddressInfo: it translates a host name and a service name or port into addresses. Either of
// the two may be "". *result is set before irp completes with success; the client gives it back by
// [ProviderNPI.FreeAddressInfo]. hints may be nil. nameSpace is NS_ALL or NS_DNS and provider nil. The owning process
// and thread mean nothing here and may be nil. After the return nothing that the arguments point to is used any more,
// save *result.
//
// It returns STATUS_PENDING, or a failure with which irp has completed:
//
//	STATUS_INVALID_PARAMETER  no IRP (nothing completes); no result; neither name; hints that contradict themselves or
//	                          have flags other than the AI_ ones here
//	STATUS_NOT_SUPPORTED      another name space or provider
//	STATUS_INVALID_HANDLE     no client, or nothing captured
//	STATUS_CANCELLED          cancelled before the call
//
// A pending query completes with Information 0 and
//
//	STATUS_SUCCESS
//	STATUS_NOT_FOUND     no such name or service
//	STATUS_IO_TIMEOUT
//	STATUS_NETWORK_BUSY  try again
//	STATUS_CANCELLED
//
// It never blocks. [Deregister] waits for it.
func (npi *ProviderNPI) GetAddressInfo(nodeName, serviceName string, nameSpace uint32, provider *GUID, hints *AddrInfo,
	result **AddrInfo, owningProcess *EPROCESS, owningThread *ETHREAD, irp *IRP,
) NTSTATUS {
	_, _ = owningProcess, owningThread
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	if !npi.beginCall() {
		return npi.refuse(irp)
	}
	q := addressQuery{node: nodeName, service: serviceName}
	if hints != nil {
		q.hints = *hints
	}
	status := STATUS_SUCCESS
	switch {
	case cancelled:
		status = STATUS_CANCELLED
	case result == nil || nodeName == "" && serviceName == "" || !q.valid():
		status = STATUS_INVALID_PARAMETER
	case nameSpace != NS_ALL && nameSpace != NS_DNS || provider != nil:
		status = STATUS_NOT_SUPPORTED
	}
	if status != STATUS_SUCCESS {
		return npi.answer(irp, status, status)
	}
	return npi.lookup(irp, func(ctx context.Context, r Resolver) (func(), NTSTATUS) {
		list, status := q.ask(ctx, r)
		return func() { *result = list }, status
	})
}

// FreeAddressInfo is WskFreeAddressInfo. The garbage collector frees the list; all the same the client must not use it
// any more.
func (npi *ProviderNPI) FreeAddressInfo(list *AddrInfo) { _ = list }

// addressQuery is what GetAddressInfo was asked.
type addressQuery struct {
	node, service string
	hints         AddrInfo
}

func (q *addressQuery) valid() bool {
	h := &q.hints
	switch {
	case h.Flags&^(AI_PASSIVE|AI_CANONNAME|AI_NUMERICHOST|AI_NUMERICSERV) != 0,
		h.Flags&AI_CANONNAME != 0 && q.node == "",
		h.Family != AF_UNSPEC && h.Family != AF_INET && h.Family != AF_INET6,
		h.CanonicalName != "" || h.Address != nil || h.Next != nil:
		return false
	}
	switch h.SocketType {
	case 0:
		return h.Protocol == 0 || h.Protocol == IPPROTO_UDP || h.Protocol == IPPROTO_TCP
	case SOCK_STREAM:
		return h.Protocol == 0 || h.Protocol == IPPROTO_TCP
	case SOCK_DGRAM:
		return h.Protocol == 0 || h.Protocol == IPPROTO_UDP
	}
	return h.SocketType == SOCK_RAW
}

// ask asks the resolver, which may block.
func (q *addressQuery) ask(ctx context.Context, r Resolver) (*AddrInfo, NTSTATUS) {
	port, status := q.port(ctx, r)
	if status != STATUS_SUCCESS {
		return nil, status
	}
	addrs, status := q.addresses(ctx, r)
	if status != STATUS_SUCCESS {
		return nil, status
	}
	name := ""
	if q.hints.Flags&AI_CANONNAME != 0 {
		name = q.node
		if q.hints.Flags&AI_NUMERICHOST == 0 && addressOf(q.node) == (netip.Addr{}) {
			if canonical, err := r.LookupCNAME(ctx, q.node); err == nil {
				name = canonical
			}
		}
	}
	var list *AddrInfo
	end := &list
	for _, a := range addrs {
		sa := NewSockaddr(netip.AddrPortFrom(a, port))
		if sa == nil { // a zone that is no interface index
			continue
		}
		*end = &AddrInfo{
			Family: sa.Family(), SocketType: q.hints.SocketType, Protocol: q.hints.Protocol,
			CanonicalName: name, Address: sa,
		}
		end, name = &(*end).Next, ""
	}
	if list == nil {
		return nil, STATUS_NOT_FOUND
	}
	return list, STATUS_SUCCESS
}

func (q *addressQuery) port(ctx context.Context, r Resolver) (uint16, NTSTATUS) {
	if q.service == "" {
		return 0, STATUS_SUCCESS
	}
	if n, err := strconv.ParseUint(q.service, 10, 16); err == nil {
		return uint16(n), STATUS_SUCCESS
	}
	if q.hints.Flags&AI_NUMERICSERV != 0 {
		return 0, STATUS_NOT_FOUND
	}
	network := "udp"
	if q.hints.SocketType == SOCK_STREAM || q.hints.Protocol == IPPROTO_TCP {
		network = "tcp"
	}
	n, err := r.LookupPort(ctx, network, q.service)
	return uint16(n), lookupStatus(err)
}

func (q *addressQuery) addresses(ctx context.Context, r Resolver) ([]netip.Addr, NTSTATUS) {
	h := &q.hints
	if q.node == "" {
		return h.unnamed(), STATUS_SUCCESS
	}
	if a := addressOf(q.node); a.IsValid() {
		if h.Family != AF_UNSPEC && (h.Family == AF_INET) != a.Is4() {
			return nil, STATUS_NOT_FOUND
		}
		return []netip.Addr{a}, STATUS_SUCCESS
	}
	if h.Flags&AI_NUMERICHOST != 0 {
		return nil, STATUS_NOT_FOUND
	}
	network := map[uint16]string{AF_UNSPEC: "ip", AF_INET: "ip4", AF_INET6: "ip6"}[h.Family]
	addrs, err := r.LookupNetIP(ctx, network, q.node)
	if status := lookupStatus(err); status != STATUS_SUCCESS {
		return nil, status
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, STATUS_SUCCESS
}

// unnamed are the addresses without a name: the wildcards to bind to, or the loopback addresses to send to.
func (h *AddrInfo) unnamed() (list []netip.Addr) {
	four, six := netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	if h.Flags&AI_PASSIVE != 0 {
		four, six = netip.IPv4Unspecified(), netip.IPv6Unspecified()
	}
	if h.Family != AF_INET {
		list = append(list, six)
	}
	if h.Family != AF_INET6 {
		list = append(list, four)
	}
	return list
}

// addressOf is the address that a string spells, or the zero Addr if the string is a name.
func addressOf(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}
