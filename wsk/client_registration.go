// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"sync"
	"sync/atomic"
	"time"
)

// ClientDispatch is WSK_CLIENT_DISPATCH.
type ClientDispatch struct {
	// Version is the WSK version that the client asks for, made by [MakeVersion].
	Version uint16
	// Reserved is 0.
	Reserved uint16
	// ClientEvent is WskClientEvent. No events are defined; it may be nil and is not called.
	ClientEvent func(clientContext any, eventType uint32, information []byte) NTSTATUS
}

// ClientNPI is WSK_CLIENT_NPI: what a client registers.
type ClientNPI struct {
	ClientContext any
	Dispatch      *ClientDispatch
}

// Registration is WSK_REGISTRATION: the client's block for one registration. The memory is the client's, which leaves
// it alone from Register until Deregister returns. The zero value is ready; it must not be copied.
type Registration struct {
	client atomic.Pointer[Client]
}

// Client is WSK_CLIENT, the handle of a registered client in its [ProviderNPI].
type Client struct {
	subsystem *Subsystem
	npi       *ClientNPI
	gone      chan struct{} // closed when Deregister begins

	mu       sync.Mutex
	changed  sync.Cond // of the counts below
	leaving  bool
	captures int
	calls    int // provider calls in progress, and their IRPs pending
	sockets  int // not closed yet

	hadSocket   bool   // a WskSocket has succeeded, or is about to
	events      uint32 // static event callbacks
	descriptors descriptorCache
}

// Register is WskRegister in the default subsystem, see [Subsystem.Register].
func Register(npi *ClientNPI, registration *Registration) NTSTATUS {
	return Default().Register(npi, registration)
}

// Register is WskRegister. Every success must be followed by exactly one [Deregister] of the same block. A program may
// register several times, with a block of its own for each registration.
//
//	STATUS_SUCCESS
//	STATUS_INVALID_PARAMETER   an argument is nil, or Reserved is not 0
//	STATUS_ALREADY_REGISTERED  the block is in use, which it is until Deregister returns
//
// Whether the provider has the version is found out by the capture.
func (ss *Subsystem) Register(npi *ClientNPI, registration *Registration) NTSTATUS {
	if npi == nil || npi.Dispatch == nil || npi.Dispatch.Reserved != 0 || registration == nil {
		return STATUS_INVALID_PARAMETER
	}
	c := &Client{subsystem: ss, npi: npi, gone: make(chan struct{})}
	c.changed.L = &c.mu
	if !registration.client.CompareAndSwap(nil, c) {
		return STATUS_ALREADY_REGISTERED
	}
	return STATUS_SUCCESS
}

// Deregister is WskDeregister. It waits until every captured NPI has been released, every provider call has returned
// and its IRP completed, and every socket is closed, and until the completion routines of all these have returned;
// afterwards no code of the registration runs any more. Captures that wait end with STATUS_DEVICE_NOT_READY at once,
// and later ones do too. It blocks, so it must not be called from a completion routine. Deregistering a block that is
// not registered, or twice, panics.
func Deregister(registration *Registration) {
	c := registration.client.Load()
	if c == nil || !c.leave() {
		panic("wsk: Deregister of a block that is not registered")
	}
	c.subsystem.endWatches(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.captures+c.calls+c.sockets > 0 {
		c.changed.Wait()
	}
	registration.client.Store(nil) // not before: ReleaseProviderNPI looks for the client here
}

// CaptureProviderNPI is WskCaptureProviderNPI: it fills in npi for calls to the provider, and keeps the registration
// alive until [ReleaseProviderNPI]. If no provider is attached it waits for one: not at all with WSK_NO_WAIT, without
// end with WSK_INFINITE_WAIT, else waitTimeout milliseconds. It may be called many times; each success must be followed
// by one ReleaseProviderNPI. With WSK_NO_WAIT it does not block.
//
//	STATUS_SUCCESS
//	STATUS_NOINTERFACE        the provider does not have the client's version; see QueryProviderCharacteristics
//	STATUS_DEVICE_NOT_READY   no provider came in time, or the registration has ended or is ending
//	STATUS_INVALID_PARAMETER  npi is nil
func CaptureProviderNPI(registration *Registration, waitTimeout uint32, npi *ProviderNPI) NTSTATUS {
	if registration == nil || npi == nil {
		return STATUS_INVALID_PARAMETER
	}
	c := registration.client.Load()
	if c == nil {
		return STATUS_DEVICE_NOT_READY
	}
	var expired <-chan time.Time
	if waitTimeout != WSK_NO_WAIT && waitTimeout != WSK_INFINITE_WAIT {
		timer := time.NewTimer(time.Duration(waitTimeout) * time.Millisecond)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		p, arrival := c.subsystem.attached()
		if p != nil || waitTimeout == WSK_NO_WAIT {
			return c.capture(p, npi)
		}
		select {
		case <-arrival:
		case <-expired:
			return STATUS_DEVICE_NOT_READY
		case <-c.gone:
			return STATUS_DEVICE_NOT_READY
		}
	}
}

func (c *Client) capture(p *provider, npi *ProviderNPI) NTSTATUS {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == nil || c.leaving {
		return STATUS_DEVICE_NOT_READY
	}
	if v := c.npi.Dispatch.Version; v < p.versions.LowestVersion || v > p.versions.HighestVersion {
		return STATUS_NOINTERFACE
	}
	c.captures++
	*npi = ProviderNPI{Client: c, Dispatch: &ProviderDispatch{Version: p.versions.HighestVersion, provider: p}}
	return STATUS_SUCCESS
}

// ReleaseProviderNPI is WskReleaseProviderNPI: the client makes no more provider calls with what one capture gave it.
// Its sockets go on. It does not block. It panics if there is no capture to release.
func ReleaseProviderNPI(registration *Registration) {
	c := registration.client.Load()
	if c == nil || !c.count(&c.captures, -1) {
		panic("wsk: ReleaseProviderNPI without a capture")
	}
}

// QueryProviderCharacteristics is WskQueryProviderCharacteristics: it stores the versions that the attached provider
// has. It returns STATUS_SUCCESS, STATUS_DEVICE_NOT_READY (no provider attached, or the block is not registered) or
// STATUS_INVALID_PARAMETER. It does not block.
func QueryProviderCharacteristics(registration *Registration, characteristics *ProviderCharacteristics) NTSTATUS {
	if registration == nil || characteristics == nil {
		return STATUS_INVALID_PARAMETER
	}
	c := registration.client.Load()
	if c == nil || c.isLeaving() {
		return STATUS_DEVICE_NOT_READY
	}
	p, _ := c.subsystem.attached()
	if p == nil {
		return STATUS_DEVICE_NOT_READY
	}
	*characteristics = p.versions
	return STATUS_SUCCESS
}

// leave begins the end of the registration. It reports false if that has begun already.
func (c *Client) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return false
	}
	c.leaving = true
	close(c.gone)
	return true
}

func (c *Client) isLeaving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leaving
}

// count changes one of the counts that Deregister waits for. It reports false where it would go below zero.
func (c *Client) count(counter *int, by int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *counter+by < 0 {
		return false
	}
	*counter += by
	c.changed.Broadcast()
	return true
}

// beginCall counts a provider call. It reports false when nothing is captured: then the client must not call.
func (c *Client) beginCall() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.captures == 0 {
		return false
	}
	c.calls++
	return true
}

func (c *Client) endCall() { c.count(&c.calls, -1) }

func (c *Client) socketGone() { c.count(&c.sockets, -1) }
