// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

type neighbourAddr = netip.Addr

// look is the search for the way of a flow, and what it has found so far. What is there when it is parked does not change.
type look struct {
	search
	flow      *Flow
	withdrawn uint32 // of the flow, when it began
	turn      int    // of the flow's holding
	query     route.Query
	hop       route.Hop
	source    netip.Addr
	egress    route.Egress
	path      *Path
	settled   bool // the path is whole
	noQueue   bool // AF_XDP is not to be had now
	opening   bool // but soon
	asked     bool // for the neighbour
}

// seek has the way of the flow looked for. It reports false where too many are looked for already. The caller holds f.mu.
func (f *Flow) seek() bool {
	if !f.src.Host.searches.enter() {
		return false
	}
	f.resolving = true
	f.holding.begin()
	f.src.flows.sought.Add(1)
	f.goOn()
	return true
}

// goOn has a worker go on with resolve.
func (f *Flow) goOn() {
	f.src.Host.workers.add(&f.job, f.src.Host.GoRun)
}

// arrived ends what seek has begun, and lets go of f.mu, which the caller holds.
func (f *Flow) arrived() {
	f.resolving, f.gathers = false, false
	f.src.flows.sought.Add(-1)
	f.src.Host.searches.leave()
	f.mu.Unlock()
	if f.common.lead.IsValid() {
		f.src.flows.disperse(f)
	}
}

// prefetch resolves in the background when nobody waits. It reports false where too many ways are looked for; the next datagram
// tells, if nothing waits.
func (f *Flow) prefetch() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.resolving || f.seek()
}

// resolve finds the way of a flow and then sends or fails everything that waits for it. Where it would have to wait, for a
// neighbour to answer or for a queue to be opened, it parks the search and ends, and a worker calls it again when there is an answer:
// so a destination that is silent costs no goroutine and holds up no other.
func (f *Flow) resolve() {
	for {
		l := f.look.Load()
		if l == nil {
			l = &look{flow: f, withdrawn: f.withdrawals()}
			l.in, l.goOn, l.still = &f.src.Host.searches, f.goOn, l.leadsAllThere
			f.look.Store(l)
		}
		f.mu.Lock()
		l.turn = f.holding.begin()
		f.mu.Unlock()
		parked, err := f.proceed(l)
		if parked {
			return // it is not ours any more
		}
		f.look.Store(nil)
		if errors.Is(err, errAnotherWay) || err != nil && l.asked && !l.leadsThere() {
			f.part(f.isElsewhere(&f.to))
			continue
		}
		if err != nil {
			if l.asked && l.err != nil {
				f.hold(l.turn, 0) // what a neighbour answers is nothing that the kernel would say at once
			}
			f.part(!l.asked || l.err == nil || f.isElsewhere(&f.to))
			f.path.Store(nil)
			f.src.Host.Stats.ResolveFailed.Add(1)
			f.src.Host.Log.Debug("no way to destination", "to", f.to.IP(), "err", err)
			f.failAll(resolveStatus(err, &f.to, f.src.dead.Load()))
			return
		}
		p := l.path
		f.follow(p)
		if p.shut || p.queue != nil && f.stack.used {
			f.part(true)
			if f.take(shutPath(p), l.withdrawn) {
				f.beginOpening(p)
				return
			}
			continue
		}
		if !f.take(p, l.withdrawn) {
			continue
		}
		f.stack.used = f.stack.used || p.queue == nil
		f.catchUp(p)
		shared := f.publish(l)
		if !shared {
			f.part(true)
		}
		switch f.passOn() {
		case passedOn:
			if shared {
				f.src.flows.dissolve(f, p)
			}
			return
		case passesOn: // others have their turn
			f.goOn()
			return
		}
	}
}

// proceed goes on with a look until it has the way of the flow, or has to wait and is parked: then it is at work again elsewhere,
// perhaps already.
func (f *Flow) proceed(l *look) (parked bool, err error) {
	if l.path == nil {
		if err := f.askRoutes(l); err != nil {
			return false, err
		}
	}
	for l.err == nil && !l.settled && l.path.obstacle.ID == route.NoObstacle && l.path.queue == nil && !l.noQueue {
		if f.askQueue(l) {
			return true, nil
		}
	}
	if l.err == nil && !l.settled && !l.asked && l.asksNeighbour() {
		l.asked = true
		if f.wait(l, func() (cancel func()) {
			return f.src.Host.Routes.AwaitNeighbour(l.hop.Interface, l.hop.Gateway, l.tell)
		}) {
			return true, nil
		}
	}
	if l.err != nil {
		return false, l.err
	}
	return false, f.settle(l)
}

// wait waits for what begin has told to the look, and reports whether that is to come and the look is parked.
func (f *Flow) wait(l *look, begin func() (cancel func())) (parked bool) {
	turn := l.turn
	if l.wait(begin) {
		return false
	}
	f.hold(turn, longestPayload(l.path.refuse, l.path.mtu, f.to.Is4()))
	// What gives up all that is parked may have looked before this was.
	if f.src.aborted.Load() {
		l.giveUp(context.Canceled)
	} else if l.path != nil && !l.still() {
		l.giveUp(errAnotherWay)
	}
	return true
}

// askRoutes asks the routing table for the way of the flow as it is now.
func (f *Flow) askRoutes(l *look) error {
	host := f.src.Host
	generation, standing := host.Routes.Generation(), host.newStanding()
	query, err := f.src.query(&f.to)
	if err != nil {
		return err
	}
	l.query = query
	hop, err := host.resolve(l.query, standing)
	if err != nil {
		return err
	}
	if hop.Kind == route.Broadcast && f.to.Flags&wsk.AllowBroadcast == 0 {
		return errBroadcastDenied
	}
	if l.source = query.Src; !query.Src.IsValid() {
		l.source = hop.Source
	}
	p := &Path{generation: generation, standing: standing, resolved: time.Now(), layout: layout{mtu: hop.MTU}}
	p.refuse = f.to.Fragment == wsk.IP_PMTUDISC_DO || f.to.Fragment == wsk.IP_PMTUDISC_PROBE
	if f.to.Fragment == wsk.IP_PMTUDISC_PROBE {
		p.mtu = hop.Device.MTU
	}
	if p.looped = f.isLooped(hop); hop.Kind == route.Multicast {
		p.groupIf = hop.Interface
	}
	l.hop, l.path = hop, p
	switch {
	case p.looped:
		p.slow(f, slowLooped)
		l.settled = true
	case hop.Kind == route.Local:
		p.obstacle.ID = route.ObstacleLocal
		p.slow(f, slowReason(route.ObstacleLocal))
		l.settled = true
	default:
		l.egress, p.obstacle = host.Routes.Transmit(hop, f.to.TOS)
		if p.obstacle.ID == route.NoObstacle {
			p.obstacle = host.Routes.Selected(l.query, hop)
		}
	}
	return admit(f.src.Guard, &f.to, &l.hop, l.source, p.mtu, l.settled || l.path.obstacle.ID != route.NoObstacle)
}

// askQueue finds the queue to send through, or that there is none. It reports whether the look waits for one that is being opened.
func (f *Flow) askQueue(l *look) (parked bool) {
	var q *Queue
	var err error
	if f.wait(l, func() (cancel func()) {
		q, err = f.src.Host.QueueFor(l.egress.Device, f.src.Serial, func() { l.tell([6]byte{}, nil) })
		if !errors.Is(err, ErrOpening) {
			l.tell([6]byte{}, nil)
		}
		return func() {}
	}) {
		return true
	}
	if !errors.Is(err, ErrOpening) {
		l.path.queue, l.noQueue, l.opening = q, err != nil, errors.Is(err, ErrStandIn)
	}
	return false
}

// asksNeighbour reports whether a neighbour has to be known before anything leaves.
//
// On the slow path the kernel would take the datagram at once and hold it, and with it send buffer of the companion socket, for the
// seconds in which the neighbour may answer: a few hundred neighbours that are silent would keep datagrams from all others.
func (l *look) asksNeighbour() bool {
	if l.path.queue != nil {
		return l.hop.Kind == route.Unicast
	}
	return asksNeighbour(l.hop, l.path.obstacle)
}

// leadsThere reports whether the routes still say what the look goes by.
func (l *look) leadsThere() bool {
	host := l.flow.src.Host
	if host.stands(l.path) {
		return true
	}
	hop, err := host.resolve(l.query, host.newStanding())
	return err == nil && hop.Kind == l.hop.Kind && hop.Interface == l.hop.Interface && hop.Gateway == l.hop.Gateway
}

// settle makes the path out of what has been found.
func (f *Flow) settle(l *look) (err error) {
	p, hop := l.path, l.hop
	if l.settled {
		return nil
	}
	if l.asked {
		p.neighbourIf, p.neighbour = hop.Interface, hop.Gateway
	}
	q := p.queue
	switch {
	case l.path.obstacle.ID != route.NoObstacle:
		f.src.Host.Log.Debug("through the kernel's stack", "to", f.to.IP(), "why", l.path.obstacle)
		p.slow(f, slowReason(l.path.obstacle.ID))
		return nil
	case q == nil:
		p.slow(f, noQueue(l.opening))
		return nil
	}
	headers := l.headers()
	if p.Template, err = frame.NewTemplate(headers); err != nil {
		return err
	}
	p.header = p.Template.HeaderLen()
	longest, chunk := limits(q)
	p.whole = p.Template.MaxPayload(p.mtu)
	p.room = min(p.whole, chunk-p.header)
	if p.mtu+linkRoom > longest {
		p.slow(f, slowMTU) // the kernel's own stack sends what AF_XDP here can't
		return nil
	}
	p.offerOffload(&headers, hop.Kind == route.Unicast)
	f.track(l)
	return nil
}

// slow turns p into the way through the companion socket.
func (p *Path) slow(f *Flow, why slowReason) {
	f.src.Host.Stats.SlowPaths[why].Add(1)
	p.queue, p.why = nil, why
}

// headers are what all datagrams of the flow have in common.
func (l *look) headers() frame.Flow {
	to, src := &l.flow.to, l.flow.src
	return frame.Flow{
		SrcMAC: frame.MAC(l.hop.Device.MAC), DstMAC: linkAddress(l.hop, to.IP(), l.mac),
		Src: netip.AddrPortFrom(l.source, src.Local.Port()), Dst: netip.AddrPortFrom(to.IP().WithZone(""), to.Port),
		TTL: to.TTL, TOS: to.TOS, DF: l.path.refuse, NoChecksum: to.Flags&wsk.NoChecksum != 0, VLANs: tags(l.egress.VLANs),
		FlowLabel: src.flowLabel(to, l.source),
	}
}
