// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
)

// Resolver answers the queries of WskGetAddressInfo and WskGetNameInfo. *net.Resolver is one. Its methods may block,
// until ctx ends.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupPort(ctx context.Context, network, service string) (int, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// lookup is a name query in progress, and the canceller of its IRP. A cancelled IRP completes at once; the resolver is
// told and nobody waits for it.
type lookup struct {
	cancel context.CancelFunc
	// over is set by the one that ends the query. The IRP's own mark can't tell: when a resolver answers late, the IRP
	// may already be armed again, by the next call that the client has passed it to.
	over atomic.Bool
}

// cancelIRP implements irpCanceller.
func (l *lookup) cancelIRP(irp *IRP) {
	l.cancel()
	if !l.over.Swap(true) {
		irp.completeWait(STATUS_CANCELLED, 0)
	}
}

// lookup runs ask, which may block, on a goroutine of its own and completes the IRP with what ask returns, unless the
// IRP has been cancelled. If the answer counts, store is called before the completion; it writes to the client's
// memory.
func (npi *ProviderNPI) lookup(irp *IRP, ask func(context.Context, Resolver) (store func(), status NTSTATUS)) NTSTATUS {
	ctx, cancel := context.WithCancel(context.Background())
	l := &lookup{cancel: cancel}
	resolver := npi.Dispatch.provider.resolver
	irp.PendingReturned = true
	irp.wait.client = npi.Client
	if !irp.arm(l) {
		cancel()
		irp.PendingReturned, irp.wait.client = false, nil
		return npi.answer(irp, STATUS_CANCELLED, STATUS_CANCELLED)
	}
	go func() {
		defer cancel()
		store, status := ask(ctx, resolver)
		if l.over.Swap(true) {
			return
		}
		irp.disarm() // a canceller that is on its way finds the query over
		if status == STATUS_SUCCESS {
			store()
		}
		irp.completeWait(status, 0)
	}()
	return STATUS_PENDING
}

// lookupStatus is the status for a resolver's error.
func lookupStatus(err error) NTSTATUS {
	var dns *net.DNSError
	switch {
	case err == nil:
		return STATUS_SUCCESS
	case errors.As(err, &dns) && dns.IsNotFound:
		return STATUS_NOT_FOUND
	case errors.As(err, &dns) && dns.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return STATUS_IO_TIMEOUT
	case errors.As(err, &dns) && dns.IsTemporary:
		return STATUS_NETWORK_BUSY
	case errors.Is(err, context.Canceled):
		return STATUS_CANCELLED
	}
	return STATUS_NOT_FOUND
}
