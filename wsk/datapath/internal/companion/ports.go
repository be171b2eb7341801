// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// portTable knows which port is held by which endpoint of this datapath, for the sharing rules of Winsock, which are
// not those of Linux. The kernel sees the companion sockets and keeps every other program away.
type portTable struct {
	mu   lockrank.Mutex[locks.PortTableMu] // makes each bind one step for all others
	held map[uint16][]*holding
	lost uint64 // what sockets that are closed had no room for
}

// holding is a port that one endpoint holds. Guarded by the table's mu.
type holding struct {
	req     wsk.BindRequest // with the port that was chosen
	sockets []*socket       // the companion, then those on groups
	ended   bool
}

// The dynamic port range of Windows.
const (
	firstDynamicPort = 49152
	lastDynamicPort  = 65535
)

// bind binds a companion socket to the wanted address, or to a free dynamic port of it, if the sharing rules and the
// kernel allow that.
func (t *portTable) bind(s *socket, fd int, req wsk.BindRequest) (*holding, error) {
	own := &holding{req: req, sockets: []*socket{s}}
	t.mu.Lock()
	defer t.mu.Unlock()
	port := req.Local.Port()
	if port == 0 {
		return own, t.bindDynamic(own, fd)
	}
	if status := t.judge(port, own); status != wsk.STATUS_SUCCESS {
		return nil, sharingError(status)
	}
	if err := t.bindBeside(s, fd, req); err != nil {
		return nil, err
	}
	t.enter(own)
	return own, nil
}

func (t *portTable) bindDynamic(own *holding, fd int) error {
	const ports = lastDynamicPort - firstDynamicPort + 1
	start := rand.N(ports)
	for i := range ports {
		port := uint16(firstDynamicPort + (start+i)%ports)
		if slices.ContainsFunc(t.held[port], func(other *holding) bool { return own.req.Overlaps(&other.req) }) {
			continue // a free port is one that nobody shares
		}
		at := netip.AddrPortFrom(own.req.Local.Addr(), port)
		switch err := own.sockets[0].bindTo(fd, at); {
		case err == nil:
			own.req.Local = at
			own.sockets[0].at = own.req
			t.enter(own)
			return nil
		case !errors.Is(err, unix.EADDRINUSE):
			return err
		}
	}
	return errNoPort
}

// judge applies the rules of Winsock to an endpoint that wants to be second. A socket that another endpoint has on a
// group is in the way of nobody.
func (t *portTable) judge(port uint16, second *holding) wsk.NTSTATUS {
	for _, first := range t.held[port] {
		if !second.req.Overlaps(&first.req) {
			continue
		}
		if status := wsk.Sharing(&first.req, &second.req); status != wsk.STATUS_SUCCESS {
			return status
		}
	}
	return wsk.STATUS_SUCCESS
}

func (t *portTable) enter(own *holding) {
	if t.held == nil {
		t.held = make(map[uint16][]*holding)
	}
	port := own.req.Local.Port()
	t.held[port] = append(t.held[port], own)
}

// bindGroup binds a further socket of an endpoint to a group, beside whatever sockets of this datapath are on its
// port.
func (t *portTable) bindGroup(own *holding, s *socket, fd int, at netip.AddrPort) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.ended {
		return unix.ECANCELED // with the datapath: nobody would ever close this one
	}
	if err := t.bindBeside(s, fd, wsk.BindRequest{Local: at}); err != nil {
		return err
	}
	own.sockets = append(own.sockets, s)
	return nil
}

// closeGroup closes a socket on a group.
func (t *portTable) closeGroup(own *holding, s *socket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own.sockets = slices.DeleteFunc(own.sockets, func(other *socket) bool { return other == s })
	t.close(s)
}

// close closes a socket, and keeps what it had no room for. mu is held.
func (t *portTable) close(s *socket) {
	t.lost += s.overflowed()
	s.file.Close()
}

// overflowed is what all sockets had no room for, those that are closed, too.
func (t *portTable) overflowed() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.lost
	for _, sharing := range t.held {
		for _, own := range sharing {
			for _, s := range own.sockets {
				n += s.overflowed()
			}
		}
	}
	return n
}

// free closes the sockets of an endpoint and takes it out of the table, in one: its port is held both there and in the
// kernel, or in neither. A second call does nothing.
func (t *portTable) free(own *holding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.ended {
		return
	}
	own.ended = true
	for _, s := range own.sockets {
		t.close(s)
	}
	port := own.req.Local.Port()
	rest := slices.DeleteFunc(t.held[port], func(other *holding) bool { return other == own })
	if len(rest) == 0 {
		delete(t.held, port)
		return
	}
	t.held[port] = rest
}

// bindBeside binds a socket, if need be beside sockets of this datapath that are on an address which it covers or which
// covers it. Linux wants SO_REUSEADDR on both sides at the moment of the bind, and would then let in every program that
// sets it too. So it is on for that moment only, and only on those in the way: whoever else has the port number in this
// datapath may be another user, whose address is not to be had for a bind of ours. Afterwards, when nobody gets in any
// more, a look is taken at who is there. mu is held.
func (t *portTable) bindBeside(s *socket, fd int, req wsk.BindRequest) error {
	s.at = req
	open, known := t.inTheWay(s)
	if len(open) == 0 {
		return s.bindTo(fd, req.Local)
	}
	for _, other := range open {
		other.setReuse(true)
	}
	setReuse(fd, true)
	err := s.bindTo(fd, req.Local)
	setReuse(fd, false)
	for _, other := range open {
		other.setReuse(false)
	}
	if err != nil {
		return err
	}
	return refuseForeign(s.log, append(open, s), append(known, s.id))
}

// inTheWay are the sockets of this datapath that the kernel finds in conflict with one that is about to be bound, and the
// ids of all on its port. mu is held.
func (t *portTable) inTheWay(s *socket) (list []*socket, all []socketID) {
	for _, first := range t.held[s.at.Local.Port()] {
		for _, other := range first.sockets {
			all = append(all, other.id)
			if other.at.Overlaps(&s.at) {
				list = append(list, other)
			}
		}
	}
	return list, all
}
