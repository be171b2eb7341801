// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/cilium/ebpf"
)

// addressKind is what the program knows of an address.
type addressKind = wskxdpWskxdpKind

const (
	kindUnicast   = wskxdpWskxdpKindWSKXDP_UNICAST
	kindBroadcast = wskxdpWskxdpKindWSKXDP_DIRECTED_BROADCAST
)

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// addressTable is the wskxdp_local map as this side knows it.
type addressTable struct {
	unicast, broadcast []netip.Addr               // as they were set last
	held               map[netip.Addr]addressKind // what the map has
}

// SetLocalAddresses says which unicast addresses are the host's own, those that entries for any address match, and that over IPv4
// no frame may come from. Which these are is the caller's decision; Linux takes every address of the namespace on every interface
// (the weak host model). Only differences to what is there are written, new addresses first. Loopback addresses are left out: no
// frame carries one. A zone is ignored. The slice is not kept.
//
// When the error wraps ErrInvalidAddress or ErrFull nothing has changed; with any other error the set may lie between the
// old and the new, and the next call puts it right.
func (p *Program) SetLocalAddresses(addrs []netip.Addr) error {
	addrs, err := cleanAddresses(addrs, func(a netip.Addr) bool {
		return !a.IsMulticast() && !a.IsUnspecified() && a != limitedBroadcast
	})
	if err == nil {
		err = p.setAddresses(func(t *addressTable) { t.unicast = addrs })
	}
	if err != nil {
		return fmt.Errorf("set local addresses: %w", err)
	}
	return nil
}

// SetBroadcastAddresses says which addresses are directed broadcasts of the interface's subnets, such as 10.0.0.255 in
// 10.0.0.0/24. Entries for any address match them if they have MatchBroadcast. 255.255.255.255 need not be named. Otherwise it is
// as SetLocalAddresses; an address in both counts as local.
func (p *Program) SetBroadcastAddresses(addrs []netip.Addr) error {
	addrs, err := cleanAddresses(addrs, func(a netip.Addr) bool {
		return a.Is4() && !a.IsMulticast() && !a.IsUnspecified()
	})
	if err == nil {
		err = p.setAddresses(func(t *addressTable) { t.broadcast = addrs })
	}
	if err != nil {
		return fmt.Errorf("set broadcast addresses: %w", err)
	}
	return nil
}

// cleanAddresses returns a copy without zones and loopback addresses, or everything that is wrong.
func cleanAddresses(addrs []netip.Addr, valid func(netip.Addr) bool) ([]netip.Addr, error) {
	var out []netip.Addr
	var problems []error
	for _, a := range addrs {
		a = a.WithZone("")
		if a.Unmap().IsLoopback() {
			continue
		}
		if _, err := encodeAddr(a, 0); err != nil {
			problems = append(problems, err)
		} else if !valid(a) {
			problems = append(problems, fmt.Errorf("%w: %v", ErrInvalidAddress, a))
		} else {
			out = append(out, a)
		}
	}
	return out, errors.Join(problems...)
}

func (p *Program) setAddresses(change func(*addressTable)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	next := p.addresses
	change(&next)
	want := next.merged()
	if len(want) > p.opts.MaxAddresses {
		return fmt.Errorf("%w: %d addresses, room for %d, raise Options.MaxAddresses", ErrFull, len(want), p.opts.MaxAddresses)
	}
	p.addresses = next
	return next.write(p.maps.WskxdpLocal, want)
}

func (t *addressTable) merged() map[netip.Addr]addressKind {
	want := make(map[netip.Addr]addressKind, len(t.unicast)+len(t.broadcast))
	for _, a := range t.broadcast {
		want[a] = kindBroadcast
	}
	for _, a := range t.unicast {
		want[a] = kindUnicast
	}
	return want
}

// write brings the map from held to want, and held with it, so that a failure half way is known.
func (t *addressTable) write(m *ebpf.Map, want map[netip.Addr]addressKind) error {
	for a, kind := range want {
		if t.held[a] == kind {
			continue
		}
		k, err := encodeAddr(a, 0)
		if err != nil {
			return err
		}
		if err := m.Update(k, kind, ebpf.UpdateAny); err != nil {
			return fmt.Errorf("add %v: %w", a, err)
		}
		t.held[a] = kind
	}
	for a := range maps.Clone(t.held) {
		if _, ok := want[a]; ok {
			continue
		}
		k, err := encodeAddr(a, 0)
		if err != nil {
			return err
		}
		if err := absentIsFine(m.Delete(k)); err != nil {
			return fmt.Errorf("delete %v: %w", a, err)
		}
		delete(t.held, a)
	}
	return nil
}
