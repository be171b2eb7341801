// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Flags of GetNameInfo (ws2def.h).
const (
	NI_NOFQDN      = 0x01
	NI_NUMERICHOST = 0x02
	NI_NAMEREQD    = 0x04
	NI_NUMERICSERV = 0x08
	NI_DGRAM       = 0x10
)

// maxSockAddrLength is the largest SockAddrLength, a SOCKADDR_STORAGE.
const maxSockAddrLength = SizeofSockaddrStorage

// GetNameInfo is WskGetNameInfo: it translates an address into a host name and a service name. Either of the outputs
// may be nil, but not both; they are set before irp completes with success. sockAddr is read during the call only.
// flags are NI_ flags; for a host without a name the name is the address, unless NI_NAMEREQD is set. The service is
// always the port number, as on Windows for a service without a name.
//
// It returns STATUS_PENDING, or a failure with which irp has completed:
//
//	STATUS_INVALID_PARAMETER  no IRP (nothing completes); no output; an address of no known family, too short or longer
//	                          than 128 bytes; unknown flags
//	STATUS_NOT_SUPPORTED      NI_NOFQDN: which names are local is not known here
//	STATUS_INVALID_HANDLE     no client, or nothing captured
//	STATUS_CANCELLED          cancelled before the call
//
// A pending query completes with Information 0, as that of [ProviderNPI.GetAddressInfo] does.
func (npi *ProviderNPI) GetNameInfo(sockAddr SOCKADDR, nodeName, serviceName *string, flags uint32,
	owningProcess *EPROCESS, owningThread *ETHREAD, irp *IRP,
) NTSTATUS {
	_, _ = owningProcess, owningThread
	if irp == nil {
		return STATUS_INVALID_PARAMETER
	}
	cancelled := irp.begin()
	if !npi.beginCall() {
		return npi.refuse(irp)
	}
	ap, ok := sockAddr.AddrPort()
	status := STATUS_SUCCESS
	switch {
	case cancelled:
		status = STATUS_CANCELLED
	case !ok || len(sockAddr) > maxSockAddrLength || nodeName == nil && serviceName == nil,
		flags&^(NI_NOFQDN|NI_NUMERICHOST|NI_NAMEREQD|NI_NUMERICSERV|NI_DGRAM) != 0,
		flags&NI_NUMERICHOST != 0 && flags&NI_NAMEREQD != 0:
		status = STATUS_INVALID_PARAMETER
	case flags&NI_NOFQDN != 0:
		status = STATUS_NOT_SUPPORTED
	}
	if status != STATUS_SUCCESS {
		return npi.answer(irp, status, status)
	}
	wantsNode := nodeName != nil
	return npi.lookup(irp, func(ctx context.Context, r Resolver) (func(), NTSTATUS) {
		name, status := "", STATUS_SUCCESS
		if wantsNode {
			name, status = hostName(ctx, r, ap.Addr(), flags)
		}
		return func() {
			if nodeName != nil {
				*nodeName = name
			}
			if serviceName != nil {
				*serviceName = strconv.Itoa(int(ap.Port()))
			}
		}, status
	})
}

// hostName asks the resolver, which may block.
func hostName(ctx context.Context, r Resolver, addr netip.Addr, flags uint32) (string, NTSTATUS) {
	addr = addr.Unmap()
	if flags&NI_NUMERICHOST != 0 {
		return addr.String(), STATUS_SUCCESS
	}
	names, err := r.LookupAddr(ctx, addr.String())
	if err == nil && len(names) > 0 {
		return strings.TrimSuffix(names[0], "."), STATUS_SUCCESS
	}
	var dns *net.DNSError
	if missing := err == nil || errors.As(err, &dns) && dns.IsNotFound; !missing {
		return "", lookupStatus(err)
	}
	if flags&NI_NAMEREQD != 0 {
		return "", STATUS_NOT_FOUND
	}
	return addr.String(), STATUS_SUCCESS
}
