// SPDX-License-Identifier: Apache-2.0

package send

import "net/netip"

// FlowInfo is what datapath.FlowInfo is.
type FlowInfo struct {
	Local, Remote netip.AddrPort
	Gateway       netip.Addr
	Interface     string
	Queue         int
	Slow, Why     string
	Waiting       int
}

// Flows lists the destinations that are remembered, and the gateways behind which others were sent to lately.
func (s *Source) Flows() (list []FlowInfo) {
	s.flows.each(func(f *Flow) {
		info := FlowInfo{Local: s.Local, Remote: netip.AddrPortFrom(f.to.IP(), f.to.Port), Waiting: int(f.waiters.Load())}
		switch p := f.path.Load(); {
		case p == nil, p.shut: // its way is not open at this moment
		case p.queue != nil:
			info.Interface, info.Queue = p.queue.dev.Name(), p.queue.id
		default:
			info.Slow, info.Why = p.why.String(), p.why.sentence(p.obstacle)
		}
		list = append(list, info)
	})
	s.flows.shared.each(func(f *Flow) {
		if p := f.path.Load(); f.used.Load() && s.Host.standsAside(p) {
			list = append(list, FlowInfo{Local: s.Local, Gateway: p.neighbour, Interface: p.queue.dev.Name(), Queue: p.queue.id})
		}
	})
	return list
}
