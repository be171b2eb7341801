// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import "github.com/wsk-xdp/wsk-xdp/wsk/route/ipsec"

// Policies are the IPsec policies that apply now, nil when none can change anything; see package ipsec. One atomic
// load. When others apply the generation grows, and subscribers get PoliciesChanged.
func (t *Table) Policies() *ipsec.Policies { return t.ipsec.Policies() }

// PoliciesUnreadable is the reason why the IPsec policies are not known, so that one may select any datagram; nil when
// they are, or are assumed to be none.
func (t *Table) PoliciesUnreadable() error { return t.Policies().Unreadable() }

// Selected tells whether an IPsec policy selects the datagrams of a query that is answered by hop: then the kernel has
// to send them. It is one atomic load while there are no policies. Policies that can't be read (CAP_NET_ADMIN) may
// select everything, unless Options.AssumeNoIPsec says that there are none.
func (t *Table) Selected(q Query, hop Hop) Obstacle {
	p := t.Policies()
	if p == nil {
		return Obstacle{}
	}
	if p.Selects(ipsec.Out, ipsec.Flow{
		Src: hop.Source, Dst: q.Dst, SrcPort: q.SrcPort, DstPort: q.DstPort, Interface: hop.Interface, Mark: q.Mark,
	}) == ipsec.None {
		return Obstacle{}
	}
	if p.Unreadable() != nil {
		return Obstacle{ID: ObstaclePolicies}
	}
	return Obstacle{ID: ObstacleIPsec}
}

func (t *Table) policiesChanged() {
	select {
	case t.policed <- struct{}{}:
	default:
	}
}
