// SPDX-License-Identifier: Apache-2.0

package wsktest

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Mode says how far an operation that is sent gets by itself.
type Mode uint8

const (
	// Deliver completes every operation at once with STATUS_SUCCESS. It is the zero value.
	Deliver Mode = iota
	// Wait keeps operations waiting, as for a neighbour or a chunk: nothing has left, and they can be cancelled.
	Wait
	// Post leaves operations with the kernel: their datagrams have left, and they can't be cancelled.
	Post
)

// Datagram is a datagram that has left.
type Datagram struct {
	From    netip.AddrPort // the socket's bound address
	To      wsk.Destination
	Payload []byte // a copy
}

// Counts are what a Transport has seen.
type Counts struct {
	Endpoints int // opened
	Closed    int // endpoints closed
	Sends     int // operations taken
	Completed int // operations completed, with whatever status
	Cancelled int // of those, cancelled by their IRP or by Abort
	Pending   int // operations not completed yet

	Arrived    int // datagrams lent to sockets
	Lent       int // of those, not given back yet
	Kept       int // calls of Keep
	Late       int // of those that arrived, not handed over because the socket had been closed
	Configured int // calls of Configure
}

// Transport is a wsk.Transport in memory. Make it with [New]. It is safe for concurrent use.
type Transport struct {
	mu         sync.Mutex
	mode       Mode
	delayBinds bool
	dead       bool
	mtu        int
	local      []netip.Addr
	nextPort   uint16
	endpoints  []*endpoint
	pending    []*wsk.SendOp // operations, in the order of sending
	binds      []func()      // delayed
	datagrams  []Datagram
	keep       bool
	counts     Counts

	way      func(*wsk.Destination) wsk.Way
	moveKept bool
	watchers []*func()
	loop     bool
	looping  bool
	looped   []Arrival

	runMu   sync.Mutex
	running bool
	queue   []completion
}

// completion is an operation that is over and whose routine has not been called yet.
type completion struct {
	op     *wsk.SendOp
	status wsk.NTSTATUS
}

// New is a transport in Deliver mode, with an MTU of 1500 and every address local.
func New() *Transport { return &Transport{mtu: 1500, nextPort: firstDynamicPort, keep: true} }

const firstDynamicPort = 49152

// SetMode sets the mode of the operations that are sent from now on.
func (t *Transport) SetMode(mode Mode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mode = mode
}

// SetMTU sets what Endpoint.MTU answers; 0 makes it STATUS_NETWORK_UNREACHABLE.
func (t *Transport) SetMTU(mtu int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mtu = mtu
}

// SetLocal makes addrs the addresses of the host. Only they can be bound, besides the wildcards and multicast
// addresses. The n-th is on interface n, counted from 1.
func (t *Transport) SetLocal(addrs ...netip.Addr) {
	t.mu.Lock()
	t.local = addrs
	watchers := slices.Clone(t.watchers)
	t.mu.Unlock()
	for _, changed := range watchers {
		(*changed)()
	}
}

// Record turns the recording of datagrams off or on. It is on at first; long runs want it off.
func (t *Transport) Record(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep = on
}

// DelayBinds keeps binds pending until it is called with false.
func (t *Transport) DelayBinds(delay bool) {
	t.mu.Lock()
	t.delayBinds = delay
	var binds []func()
	if !delay {
		binds, t.binds = t.binds, nil
	}
	t.mu.Unlock()
	for _, bind := range binds {
		bind()
	}
}

// Kill lets the device go away: pending operations end with STATUS_FILE_FORCED_CLOSED, and every endpoint reports its
// death, also those that are opened later.
func (t *Transport) Kill() {
	t.mu.Lock()
	t.dead = true
	endpoints := append([]*endpoint(nil), t.endpoints...)
	t.mu.Unlock()
	for _, e := range endpoints {
		e.die()
	}
	t.CompleteAll(wsk.STATUS_FILE_FORCED_CLOSED)
}

// Datagrams returns what has left so far, in order.
func (t *Transport) Datagrams() []Datagram {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Datagram(nil), t.datagrams...)
}

// Counts returns the counters.
func (t *Transport) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	c.Pending = len(t.pending)
	return c
}

// OpenEndpoint implements wsk.Transport.
func (t *Transport) OpenEndpoint(family uint16, events wsk.EndpointEvents) (wsk.Endpoint, wsk.NTSTATUS) {
	t.mu.Lock()
	e := &endpoint{t: t, family: family, events: events, groups: groups{}}
	t.endpoints = append(t.endpoints, e)
	t.counts.Endpoints++
	dead := t.dead
	t.mu.Unlock()
	if dead {
		e.die()
	}
	return e, wsk.STATUS_SUCCESS
}

// SetWay makes endpoints whose events are a wsk.FlowGuard ask it about each destination, once until [Transport.Recheck], and
// says which way a destination has. nil, as at first, asks nobody.
func (t *Transport) SetWay(way func(to *wsk.Destination) wsk.Way) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.way = way
}

// Recheck has guards asked again about all destinations.
func (t *Transport) Recheck() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.endpoints {
		e.verdicts = nil
	}
}
