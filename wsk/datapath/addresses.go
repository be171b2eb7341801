// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

var _ wsk.AddressSource = (*Datapath)(nil)

// watchers are who wants to know of changes of addresses, and the goroutine that tells them: the routing table's own must
// not wait for anybody.
type watchers struct {
	token chan struct{}

	mu   lockrank.Mutex[locks.WatchersMu]
	list []*watcher
}

type watcher struct{ changed func() }

func (w *watchers) init() { w.token = make(chan struct{}, 1) }

func (w *watchers) wake() {
	select {
	case w.token <- struct{}{}:
	default:
	}
}

// watch is the goroutine.
func (dp *Datapath) watch() {
	for {
		select {
		case <-dp.senders.Ctx.Done():
			return
		case <-dp.watchers.token:
		}
		if dp.devices.Revive() {
			for _, ep := range dp.endpoints.list() {
				ep.source.Hasten()
			}
		}
		dp.hub.Refresh()
		dp.watchers.mu.Lock()
		list := slices.Clone(dp.watchers.list)
		dp.watchers.mu.Unlock()
		for _, w := range list {
			w.changed()
		}
	}
}

// WatchAddresses implements wsk.AddressSource. One goroutine makes all calls; a call that is under way when cancel is
// called may still be running when cancel returns.
func (dp *Datapath) WatchAddresses(changed func()) (cancel func()) {
	w := &watcher{changed}
	dp.watchers.mu.Lock()
	defer dp.watchers.mu.Unlock()
	dp.watchers.list = append(dp.watchers.list, w)
	return func() {
		dp.watchers.mu.Lock()
		defer dp.watchers.mu.Unlock()
		dp.watchers.list = slices.DeleteFunc(dp.watchers.list, func(o *watcher) bool { return o == w })
	}
}

// Addresses implements wsk.AddressSource: what can be bound to and be reached at, so no loopback and nothing tentative.
func (dp *Datapath) Addresses(family uint16) []wsk.Address {
	version := 4
	if family == wsk.AF_INET6 {
		version = 6
	}
	var list []wsk.Address
	for _, a := range dp.routes.Addresses(version) {
		if !a.Tentative && !a.IP.IsLoopback() {
			list = append(list, receive.WireAddress(netip.AddrPortFrom(a.IP, 0), uint32(a.Interface)))
		}
	}
	return list
}

// SourceFor implements wsk.AddressSource.
func (dp *Datapath) SourceFor(to wsk.Address) (wsk.Address, wsk.NTSTATUS) { return dp.sourceFor(to, 0) }

func (dp *Datapath) sourceFor(to wsk.Address, mark uint32) (wsk.Address, wsk.NTSTATUS) {
	q := route.Query{Dst: ipaddr.Addr(to.Addr), Mark: mark}
	if to.Scope != 0 {
		q.Dst = q.Dst.WithZone(strconv.FormatUint(uint64(to.Scope), 10))
	}
	hop, err := dp.routes.Resolve(dp.senders.Ctx, q)
	switch {
	case errors.Is(err, route.ErrNoDevice), errors.Is(err, route.ErrScope):
		return wsk.Address{}, wsk.STATUS_INVALID_ADDRESS_COMPONENT
	case err != nil:
		return wsk.Address{}, wsk.STATUS_NETWORK_UNREACHABLE
	case hop.Kind == route.Local:
		hop.Source = hop.Gateway
	}
	if !hop.Source.IsValid() {
		return wsk.Address{}, wsk.STATUS_NETWORK_UNREACHABLE
	}
	return receive.WireAddress(netip.AddrPortFrom(hop.Source.WithZone(""), 0), uint32(hop.Interface)), wsk.STATUS_SUCCESS
}
