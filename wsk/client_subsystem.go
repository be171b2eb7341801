// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"net"
	"sync"
	"sync/atomic"
)

// MakeVersion is MAKE_WSK_VERSION.
func MakeVersion(major, minor uint8) uint16 { return uint16(major)<<8 | uint16(minor) }

// Subsystem is what the Network Module Registrar and the WSK subsystem are on Windows: clients register with it and a
// transport is attached to it. The zero value is ready, with nothing attached. Most programs have one, [Default]; tests
// make their own. It is safe for concurrent use.
type Subsystem struct {
	mu       sync.Mutex
	provider *provider     // nil: none attached
	arrival  chan struct{} // closed at the next Attach; made when somebody waits
	waiting  irpList       // WSK_TRANSPORT_LIST_CHANGE
}

// provider is an attached transport.
type provider struct {
	transport Transport
	versions  ProviderCharacteristics
	detached  atomic.Bool
	nested    nesting
	split     bool
	resolver  Resolver
	addresses addressWatch
}

// ProviderOptions describe a provider that is attached.
type ProviderOptions struct {
	// HighestVersion and LowestVersion are the WSK versions that clients may ask for, made by MakeVersion. 0 means 1.0.
	HighestVersion, LowestVersion uint16
	// Resolver answers WskGetAddressInfo and WskGetNameInfo. nil means net.DefaultResolver.
	Resolver Resolver
	// SplitReceived is a mode for testing clients: the data of each indication are spread over several MDLs and begin
	// at an odd offset, and the last MDL has more bytes than belong to the data. It costs a copy.
	SplitReceived bool
}

// ProviderCharacteristics is WSK_PROVIDER_CHARACTERISTICS.
type ProviderCharacteristics struct {
	HighestVersion, LowestVersion uint16
}

var defaultSubsystem Subsystem

// Default is the subsystem of the process, which the package functions work on.
func Default() *Subsystem { return &defaultSubsystem }

// Attach makes transport the provider: captures that wait for one wake up. It returns STATUS_INVALID_PARAMETER for a
// nil transport or a version range that is empty, and STATUS_ALREADY_REGISTERED while another is attached.
func (ss *Subsystem) Attach(transport Transport, options ProviderOptions) NTSTATUS {
	versions := ProviderCharacteristics{options.HighestVersion, options.LowestVersion}
	if versions.HighestVersion == 0 {
		versions.HighestVersion = MakeVersion(1, 0)
	}
	if versions.LowestVersion == 0 {
		versions.LowestVersion = MakeVersion(1, 0)
	}
	if transport == nil || versions.LowestVersion > versions.HighestVersion {
		return STATUS_INVALID_PARAMETER
	}
	if options.Resolver == nil {
		options.Resolver = net.DefaultResolver
	}
	ss.mu.Lock()
	if ss.provider != nil {
		ss.mu.Unlock()
		return STATUS_ALREADY_REGISTERED
	}
	ss.provider = &provider{
		transport: transport, versions: versions, split: options.SplitReceived, resolver: options.Resolver,
	}
	if ss.arrival != nil {
		close(ss.arrival)
		ss.arrival = nil
	}
	changed := ss.waiting.takeAll()
	ss.mu.Unlock()
	completeAll(changed, STATUS_SUCCESS)
	return STATUS_SUCCESS
}

// Detach takes the provider away again. From now on captures wait, or fail with STATUS_DEVICE_NOT_READY, and so does
// making a socket with what was captured before. Open sockets go on: what becomes of them is up to whoever closes the
// transport. Without a provider it does nothing.
func (ss *Subsystem) Detach() {
	ss.mu.Lock()
	p := ss.provider
	if p == nil {
		ss.mu.Unlock()
		return
	}
	p.detached.Store(true)
	ss.provider = nil
	changed := ss.waiting.takeAll()
	ss.mu.Unlock()
	p.addresses.close()
	completeAll(changed, STATUS_SUCCESS)
}

// attached returns the provider, or nil and a channel that is closed when one is attached.
func (ss *Subsystem) attached() (*provider, <-chan struct{}) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.provider != nil {
		return ss.provider, nil
	}
	if ss.arrival == nil {
		ss.arrival = make(chan struct{})
	}
	return nil, ss.arrival
}
