// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// arrive hands some datagrams to an endpoint, or tells it that its device is gone.
func (c *chaos) arrive() {
	n, cast := c.dice.n(4)+1, wsk.Cast(c.dice.n(3))
	dies := c.dice.n(64) == 0
	c.mu.Lock()
	if len(c.endpoints) == 0 {
		c.mu.Unlock()
		return
	}
	e := c.endpoints[c.dice.n(len(c.endpoints))]
	if !e.bound {
		c.mu.Unlock()
		return
	}
	e.receiving++
	dies = dies && !e.dead
	if dies {
		e.dead = true
		c.deaths++
	}
	var list *wsk.Datagram
	for range n {
		c.lent++
		c.arrived++
		list = &wsk.Datagram{Next: list, Payload: make([]byte, 8), Cast: cast, Lender: c, IfIndex: 1, TTL: 64,
			Source:      wsk.Address{Addr: netip.MustParseAddr("192.0.2.1").As16(), Port: 9},
			Destination: netip.MustParseAddr("192.0.2.66").As16()}
	}
	c.mu.Unlock()
	e.events.(wsk.Receiver).Receive(list)
	if dies {
		e.events.Dead()
	}
	c.mu.Lock()
	e.receiving--
	done := e.over()
	c.mu.Unlock()
	if done != nil {
		done()
	}
}

// Release implements wsk.Lender.
func (c *chaos) Release(d *wsk.Datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.Payload == nil {
		c.t.Error("a datagram was released twice")
	}
	d.Payload = nil
	c.lent--
}

// Keep implements wsk.Lender.
func (c *chaos) Keep(*wsk.Datagram) {}

// Addresses implements wsk.AddressSource.
func (c *chaos) Addresses(uint16) []wsk.Address {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []wsk.Address{{Addr: netip.AddrFrom4([4]byte{192, 0, 2, c.addresses}).As16()}}
}

// WatchAddresses implements wsk.AddressSource.
func (c *chaos) WatchAddresses(changed func()) (cancel func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watches++
	id := c.watches
	c.changed[id] = changed
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.changed, id)
	}
}

// SourceFor implements wsk.AddressSource.
func (c *chaos) SourceFor(wsk.Address) (wsk.Address, wsk.NTSTATUS) {
	return wsk.Address{}, wsk.STATUS_NETWORK_UNREACHABLE
}

// move gives the host another address.
func (c *chaos) move() {
	c.mu.Lock()
	c.addresses++
	var list []func()
	for _, f := range c.changed {
		list = append(list, f)
	}
	c.mu.Unlock()
	for _, f := range list {
		f()
	}
}
