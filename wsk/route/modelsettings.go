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
	c.filters, c.bump = true, true
	c.events = append(c.events, Event{Kind: ReversePathChanged, Interface: max(index, 0)})
}

func (m *model) setRules(r rules, c *changes) {
	if m.rules != r {
		m.rules = r
		c.rules, c.bump = true, true
	}
}
