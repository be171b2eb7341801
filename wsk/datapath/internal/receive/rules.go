// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/ipsec"
)

// Rules are the host's own, by which its stack judges what arrives, [route.Table]. What passes the stack by is held to
// them here, or does not pass it by in the first place.
type Rules interface {
	// Generation grows whenever Accepts may answer otherwise.
	Generation() uint64
	// ReversePath is the check of sources on a device (rp_filter).
	ReversePath(ifindex int) route.ReversePath
	// Accepts asks the kernel whether it would take a datagram from there on a device. It takes about 10 µs.
	Accepts(route.Arrival) (bool, error)
	// Policies are the IPsec policies, nil when none can change anything.
	Policies() *ipsec.Policies
	// VRF is the VRF that a device belongs to, or 0.
	VRF(ifindex int) int
	// ReceivesFromVRFs reports whether sockets outside of VRFs get what arrives in them.
	ReceivesFromVRFs() bool
	// DropsUnicastInLinkGroups reports whether the host drops, on a device, a unicast datagram in a frame to a group or to every
	// station. It takes about 10 µs.
	DropsUnicastInLinkGroups(ifindex int, is4 bool) bool
}

// sourceLife bounds how long an answer of the kernel counts: not all that it depends on is announced.
const sourceLife = 5 * time.Second

// sources remembers what the kernel said of the sources of IPv4 datagrams, so that only the first of a flow costs a
// question. It belongs to a receiver; ringMu is held.
type sources struct {
	answers [256]sourceAnswer // by hash; the newest of a slot stays
}

type sourceAnswer struct {
	question   sourceQuestion
	accepted   bool
	generation uint64
	until      time.Time // zero: none
}

type sourceQuestion struct {
	src, dst [4]byte
	ifindex  uint32
	tos      uint8
}

// slot is where the answer to a question is kept.
func (q *sourceQuestion) slot() uint8 {
	return q.src[3] ^ q.src[2]*31 ^ q.src[1]*59 ^ q.src[0]*101 ^ q.dst[3]*7 ^ uint8(q.ifindex)*13
}

// accepts reports whether the kernel would take a datagram. Where it does not answer, the datagram is refused.
func (s *sources) accepts(rules Rules, q sourceQuestion) bool {
	a, generation, now := &s.answers[q.slot()], rules.Generation(), time.Now()
	if a.question == q && a.generation == generation && now.Before(a.until) {
		return a.accepted
	}
	ok, err := rules.Accepts(route.Arrival{
		Src: netip.AddrFrom4(q.src), Dst: netip.AddrFrom4(q.dst), Interface: int(q.ifindex), TOS: q.tos,
	})
	if err != nil {
		return false
	}
	*a = sourceAnswer{q, ok, generation, now.Add(sourceLife)}
	return ok
}

// linkGroupLife bounds how long an answer about frames to groups counts: no change of it is announced.
const linkGroupLife = time.Second

// linkGroups remembers what the host does with unicast datagrams in frames to groups, of each IP version on the interface that was
// asked about last. It belongs to a receiver; ringMu is held.
type linkGroups [2]struct {
	ifindex uint32
	drops   bool
	until   time.Time // zero: none
}

func (l *linkGroups) drops(rules Rules, ifindex uint32, is4 bool) bool {
	a := &l[0]
	if !is4 {
		a = &l[1]
	}
	if now := time.Now(); a.ifindex != ifindex || !now.Before(a.until) {
		a.ifindex, a.drops, a.until = ifindex, rules.DropsUnicastInLinkGroups(int(ifindex), is4), now.Add(linkGroupLife)
	}
	return a.drops
}
