// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// onEvent receives link events from the routing table's goroutine, on which no completion routine may run.
func (dp *Datapath) onEvent(ev route.Event) {
	if concerns(ev.Kind) {
		dp.watchers.wake()
	}
	switch ev.Kind {
	case route.LinkUp:
		if d := dp.devices.Known(ev.Interface); d != nil {
			d.LinkUp()
		}
	case route.Carrier:
		switch d := dp.devices.Known(ev.Interface); {
		case d == nil:
		case ev.Carrier:
			d.LinkUp()
		default:
			d.CarrierLost()
		}
	case route.LinkDeleted:
		// At once, since another of its name or index may be in the next event, and sockets be made for that.
		endpoints, d, age := dp.endpoints.list(), dp.devices.Remove(ev.Interface), dp.companions.InterfaceDeleted()
		dp.goRun(func() { dp.deviceDeleted(ev.Interface, d, endpoints, age) })
	case route.PathsChanged:
		dp.senders.Reconsider()
	case route.Resynced:
		// A link may have gone down and come back unseen; a kick tells.
		dp.devices.EachQueue(func(q *send.Queue) { q.LinkUp() })
	}
}

// janitorInterval is how often neighbours in use are kept alive and old answers of the routing table refreshed.
const janitorInterval = time.Second

// janitor does what no event triggers. Flows that were not used since its last round cost it one load.
func (dp *Datapath) janitor() {
	tick := time.NewTicker(janitorInterval)
	defer tick.Stop()
	for {
		select {
		case <-dp.senders.Ctx.Done():
			return
		case now := <-tick.C:
			endpoints := dp.endpoints.list()
			for _, ep := range endpoints {
				ep.source.Tend(now)
				ep.source.GiveWay()
			}
			for _, d := range dp.devices.RemoveLost() {
				dp.deviceDeleted(d.Index, d, endpoints, dp.companions.InterfaceDeleted())
			}
			dp.devices.Nudge()
			dp.devices.Each((*device.Device).GuardPassProgram)
			dp.devices.GuardPrograms(now)
			dp.devices.LookForOthers()
		}
	}
}

// deviceDeleted fails everything that was to leave through an interface and tells the sockets that lived on it. d is what
// the set of devices knew of it, nil for nothing; endpoints are those that there were then, and age that of the deletion.
func (dp *Datapath) deviceDeleted(ifindex int, d *device.Device, endpoints []*endpoint, age uint64) {
	if d != nil {
		d.Dismantle()
	}
	for _, ep := range endpoints {
		ep.deviceGone(ifindex, age)
		if d != nil {
			ep.source.Hasten() // another of its index may be there already
		}
	}
	if d != nil {
		dp.watchers.wake() // or of its name
	}
}

// concerns reports whether an event may change what is known of interfaces that are received on.
func concerns(kind route.EventKind) bool {
	switch kind {
	case route.LinkAdded, route.LinkUp, route.LinkDown, route.LinkDeleted, route.LinkChanged, route.AddressesChanged,
		route.Resynced, route.PoliciesChanged, route.ReversePathChanged:
		return true
	}
	return false
}
