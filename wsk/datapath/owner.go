// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
)

// owner is the half of an endpoint that lives in the kernel: its companion socket, and the groups it has joined.
type owner struct {
	host    *companionHost
	sink    *receive.Sink
	family  uint16
	options atomic.Pointer[wsk.ReceiveOptions]
	// pathNarrowed is told of each destination whose path MTU an ICMP error has lowered.
	pathNarrowed func(netip.Addr)

	// Set by adopt, which happens before the first send; local and dual do not change any more.
	local netip.AddrPort
	dual  bool

	// memberships.mu guards companion, for a caller that may come while Bind runs.
	members   memberships
	companion *companion
	ended     atomic.Bool // no further change of groups or options
}

// adopt takes the companion socket, with the options that were set before there was one, unless admit says that it
// comes too late. admit is called with the lock held that guards the companion.
func (own *owner) adopt(c *companion, local netip.AddrPort, dual bool, admit func() bool) bool {
	own.members.mu.Lock()
	ok := admit()
	if ok {
		own.companion, own.local, own.dual = c, local, dual
	}
	own.members.mu.Unlock()
	if o := *own.options.Load(); ok && o != (wsk.ReceiveOptions{}) {
		c.setReceive(o)
	}
	return ok
}

// bound is the companion socket, nil before Bind has succeeded.
func (own *owner) bound() *companion {
	own.members.mu.Lock()
	defer own.members.mu.Unlock()
	return own.companion
}

// configure sets what the socket above wants to receive.
func (own *owner) configure(o wsk.ReceiveOptions) {
	own.options.Store(&o)
	own.members.mu.Lock()
	defer own.members.mu.Unlock()
	if own.companion == nil || own.ended.Load() {
		return
	}
	own.companion.setReceive(o)
	for _, g := range own.companion.groups {
		g.setReceive(o)
	}
}

// abort cancels what waits for the slow path.
func (own *owner) abort() {
	if c := own.bound(); c != nil {
		c.abort()
	}
}

// start lets datagrams in. What arrived before waits in the companion socket.
func (own *owner) start() { own.companion.start() }

// end refuses further changes of groups and options.
func (own *owner) end() { own.ended.Store(true) }

// leaveAll ends every membership, before the port is given back.
func (own *owner) leaveAll() { own.members.leaveAll(own) }

// release gives the port back, if there is one.
func (own *owner) release() {
	if c := own.bound(); c != nil {
		own.host.release(c, own.local.Port())
	}
}
