// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"
	"sync"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// maxReplies bounds what a connection remembers for Options.ReplyFromDestination: anybody can send from any address.
const maxReplies = 4096

// replies remembers to which address of the host the last datagram from each sender was sent. The zero value is ready.
type replies struct {
	mu   sync.Mutex
	from map[netip.AddrPort]netip.Addr
	ring []netip.AddrPort // of the keys, in the order in which they came
	next int
}

// note remembers where a datagram was sent, which its control data say. flags are those of the receive: the broadcast address
// of a subnet looks like any other, and nothing can leave from it.
func (r *replies) note(sender netip.AddrPort, control []byte, flags uint32) {
	to, ok := destinationIn(control)
	if !ok || flags&wsk.MSG_BCAST != 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.from[sender]; !known {
		if r.from == nil {
			r.from = make(map[netip.AddrPort]netip.Addr)
		}
		if len(r.ring) < maxReplies {
			r.ring = append(r.ring, sender)
		} else {
			delete(r.from, r.ring[r.next])
			r.ring[r.next] = sender
			r.next = (r.next + 1) % maxReplies
		}
	}
	r.from[sender] = to
}

// source is the address that an answer leaves from; the zero Addr leaves that to the route.
func (r *replies) source(to netip.AddrPort) netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from[to]
}

// destinationIn finds the address that a datagram was sent to, if an answer can leave from it.
func destinationIn(control []byte) (netip.Addr, bool) {
	it := wsk.CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		var addr netip.Addr
		switch {
		case m.Level == wsk.IPPROTO_IP && m.Type == wsk.IP_PKTINFO && len(m.Data) >= 8:
			addr = netip.AddrFrom4([4]byte(m.Data))
			if addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
				return addr, false
			}
		case m.Level == wsk.IPPROTO_IPV6 && m.Type == wsk.IPV6_PKTINFO && len(m.Data) >= 20:
			addr = netip.AddrFrom16([16]byte(m.Data))
		default:
			continue
		}
		return addr, !addr.IsMulticast() && !addr.IsUnspecified()
	}
	return netip.Addr{}, false
}
