// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

func (m *model) setFilter(index int, r ReversePath, c *changes) {
	if m.filters[index] == r {
		return
	}
	m.filters[index] = r
	if r == ReversePathOff {
		delete(m.filters, index)
	}
	c.filters, c.routes = true, true
	c.events = append(c.events, Event{Kind: ReversePathChanged, Interface: max(index, 0)})
}

func (m *model) setRules(r rules, c *changes) {
	if m.rules != r {
		m.rules = r
		c.rules, c.routes = true, true
	}
}

func (m *model) setMTU6(index, mtu int, c *changes) {
	if old := m.devices[index]; old != nil && old.MTU6 != mtu {
		d := *old
		d.MTU6 = mtu
		m.devices[index] = &d
		c.remake(index)
	}
}

// remake notes that a device is not what it was.
func (c *changes) remake(index int) {
	c.remade[index] = struct{}{}
	c.devices, c.bump = true, true
}
