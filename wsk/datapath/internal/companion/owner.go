// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

// Owner is the half of an endpoint that lives in the kernel: its companion socket, and the groups it has joined.
type Owner struct {
	Host    *Host
	Sink    *receive.Sink
	Family  uint16
	Options atomic.Pointer[wsk.ReceiveOptions]
	// PathNarrowed is told of each destination whose path MTU an ICMP error has lowered.
	PathNarrowed func(netip.Addr)

	// Set by adopt, which happens before the first send; local and dual do not change any more.
	local netip.AddrPort
	dual  bool

	// memberships.mu guards companion, for a caller that may come while Bind runs.
	members   memberships
	Companion *Companion
	Ended     atomic.Bool // no further change of groups or options
}

// Adopt takes the companion socket, with the options that were set before there was one, unless admit says that it
// comes too late. admit is called with the lock held that guards the companion.
func (own *Owner) Adopt(c *Companion, local netip.AddrPort, dual bool, admit func() bool) bool {
	own.members.mu.Lock()
	ok := admit()
	if ok {
		own.Companion, own.local, own.dual = c, local, dual
	}
	own.members.mu.Unlock()
	if o := *own.Options.Load(); ok && o != (wsk.ReceiveOptions{}) {
		c.setReceive(o)
	}
	return ok
}

// Bound is the companion socket, nil before Bind has succeeded.
func (own *Owner) Bound() *Companion {
	own.members.mu.Lock()
	defer own.members.mu.Unlock()
	return own.Companion
}

// Configure sets what the socket above wants to receive.
func (own *Owner) Configure(o wsk.ReceiveOptions) {
	own.Options.Store(&o)
	own.members.mu.Lock()
	defer own.members.mu.Unlock()
	if own.Companion == nil || own.Ended.Load() {
		return
	}
	own.Companion.setReceive(o)
	for _, g := range own.Companion.Groups {
		g.setReceive(o)
	}
}

// Abort cancels what waits for the slow path.
func (own *Owner) Abort() {
	if c := own.Bound(); c != nil {
		c.abort()
	}
}

// Start lets datagrams in. What arrived before waits in the companion socket.
func (own *Owner) Start() { own.Companion.start() }

// End refuses further changes of groups and options.
func (own *Owner) End() { own.Ended.Store(true) }

// LeaveAll ends every membership, before the port is given back.
func (own *Owner) LeaveAll() { own.members.leaveAll(own) }

// Release gives the port back, if there is one.
func (own *Owner) Release() {
	if c := own.Bound(); c != nil {
		own.Host.Release(c, own.local.Port())
	}
}
