// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// bindTable is who of this datapath holds which port, for the sharing rules of Winsock, which are not those of Linux. The
// kernel sees the companion sockets and keeps everybody else away. Guarded by Host.BindMu.
type bindTable map[uint16][]*holding

// holding is one bound companion socket and what it asked for.
type holding struct {
	companion *Companion
	req       wsk.BindRequest
}

// judge applies the rules of Winsock to a socket that wants to be second. share tells whether it gets an address that
// others of this datapath hold.
func (t bindTable) judge(port uint16, second *holding) (share bool, status wsk.NTSTATUS) {
	for _, first := range t[port] {
		if !second.req.Overlaps(&first.req) {
			continue
		}
		share = true
		if status := wsk.Sharing(&first.req, &second.req); status != wsk.STATUS_SUCCESS {
			return false, status
		}
	}
	return share, wsk.STATUS_SUCCESS
}

// errShared carries the status of the matrix through an error.
type errShared wsk.NTSTATUS

func (e errShared) Error() string {
	return "address is held by another socket: " + wsk.NTSTATUS(e).String()
}

// hold binds a companion socket to the wanted address if the sharing rules and the kernel allow it, and enters it.
func (h *Host) hold(c *Companion, fd int, req wsk.BindRequest) (netip.AddrPort, error) {
	held := &holding{companion: c, req: req}
	h.BindMu.Lock()
	defer h.BindMu.Unlock()
	if port := req.Local.Port(); port != 0 {
		share, status := h.Held.judge(port, held)
		if status != wsk.STATUS_SUCCESS {
			return netip.AddrPort{}, errShared(status)
		}
		// A group's socket of another endpoint is no holding of its own.
		share = share || slices.ContainsFunc(h.Held[port], func(o *holding) bool { return len(o.companion.Groups) > 0 })
		if err := h.bindShared(held, &c.Socket, fd, req.Local, share); err != nil {
			return netip.AddrPort{}, err
		}
		h.enter(port, held)
		return req.Local, nil
	}
	const ports = lastDynamicPort - firstDynamicPort + 1
	start := rand.N(ports)
	for i := range ports {
		port := uint16(firstDynamicPort + (start+i)%ports)
		if slices.ContainsFunc(h.Held[port], func(o *holding) bool { return held.req.Overlaps(&o.req) }) {
			continue // a free port is one that nobody shares
		}
		ap := netip.AddrPortFrom(req.Local.Addr(), port)
		switch err := c.bindTo(fd, ap); {
		case err == nil:
			held.req.Local = ap
			h.enter(port, held)
			return ap, nil
		case !errors.Is(err, unix.EADDRINUSE):
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPort{}, errNoPort
}

func (h *Host) enter(port uint16, held *holding) {
	if h.Held == nil {
		h.Held = make(bindTable)
	}
	h.Held[port] = append(h.Held[port], held)
}

// Release closes a companion socket and takes it out of the table, in one: the port is either held in both or in none.
func (h *Host) Release(c *Companion, port uint16) {
	h.BindMu.Lock()
	defer h.BindMu.Unlock()
	c.close()
	rest := slices.DeleteFunc(h.Held[port], func(o *holding) bool { return o.companion == c })
	if len(rest) == 0 {
		delete(h.Held, port)
		return
	}
	h.Held[port] = rest
}

// bindShared binds beside the sockets of this datapath that hold the address. Linux wants SO_REUSEADDR on both sides at
// the moment of the bind, and would then let every process in that sets it too; so it is on for that moment only, and
// who has come in meanwhile, or was there before, is looked for. BindMu is held.
func (h *Host) bindShared(held *holding, k *Socket, fd int, ap netip.AddrPort, share bool) error {
	if !share {
		return k.bindTo(fd, ap)
	}
	own := []socketID{k.id}
	for _, first := range h.Held[ap.Port()] {
		for _, other := range first.companion.sockets() {
			own = append(own, other.id)
			other.setReuse(true)
			defer other.setReuse(false)
		}
	}
	SetReuse(fd, true)
	err := k.bindTo(fd, ap)
	SetReuse(fd, false)
	if err != nil {
		return err
	}
	return h.checkForeign(held, ap.Port(), own)
}
