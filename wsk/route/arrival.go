// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ReversePath is the check that counts on a device: the larger of its own setting and that of all devices. The kernel announces
// changes of it (RTM_NEWNETCONF), so it is as old as an event takes; subscribers get ReversePathChanged. IPv6 has no such
// setting; its check is a firewall rule (rpfilter).
func (t *Table) ReversePath(ifindex int) ReversePath {
	s := t.snap.Load()
	return max(s.filters[ifindex], s.filters[netconfAll])
}

// VRF is the index of the VRF that a device belongs to or is, 0 for none. A port of a bridge, bond or team belongs to the VRF of
// that: what comes in by it is received there.
func (t *Table) VRF(ifindex int) int { return t.snap.Load().vrf(ifindex) }

// ReceivesFromVRFs reports whether a socket that is bound to no device gets what comes in through VRFs
// (net.ipv4.udp_l3mdev_accept, for both families). It is as old as the table's last tick, at most 5 s.
func (t *Table) ReceivesFromVRFs() bool { return t.sysctls.l3mdev.value.Load() != 0 }

// Arrival is a datagram that came in. It is comparable.
type Arrival struct {
	Src, Dst  netip.Addr
	Interface int
	TOS       uint8
	Mark      uint32
}

// Accepts reports whether the kernel would take a datagram with this source from this device and deliver it here. For IPv4 the kernel
// is asked (RTM_GETROUTE with RTA_IIF): its answer knows rp_filter, accept_local, martians, own addresses and policy rules. Answers are
// kept for the generation, and 5 s at most, because not all of these settings are announced. A question takes about 10 µs; one who
// varies the source makes each datagram a question. For IPv6 there is nothing to ask: groups, :: and, from elsewhere,
// loopback are no sources.
//
// The errors are ErrNoDevice and ErrClosed; others say that the kernel did not answer.
func (t *Table) Accepts(a Arrival) (bool, error) {
	a.Src, a.Dst, a.TOS = a.Src.Unmap().WithZone(""), a.Dst.Unmap().WithZone(""), a.TOS&tosMask(true)
	if !a.Src.IsValid() || a.Src.Is4() != a.Dst.Is4() {
		return false, nil
	}
	if a.Src.Is6() {
		return !a.Src.IsMulticast() && !a.Src.IsLoopback() && !a.Src.IsUnspecified(), nil
	}
	gen := t.gen.Load()
	if ok, known := t.arrivals.lookup(a, gen); known {
		return ok, nil
	}
	if t.closed() {
		return false, ErrClosed
	}
	err := t.asker.do(unix.RTM_GETROUTE, 0, a.message(), nil)
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return false, fmt.Errorf("from %v by interface %d: %w: %w", a.Src, a.Interface, ErrNoDevice, err)
	case err != nil && !isRefusal(err):
		return false, fmt.Errorf("from %v by interface %d: %w", a.Src, a.Interface, err)
	}
	t.arrivals.store(a, err == nil, gen)
	return err == nil, nil
}

// isRefusal: a martian source (EINVAL), the reverse path filter (EXDEV), or a route that leads nowhere.
func isRefusal(err error) bool {
	for _, e := range []error{unix.EINVAL, unix.EXDEV, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EACCES} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (a Arrival) message() message {
	body := message(nil).u8(unix.AF_INET, 32, 32, a.TOS, 0, 0, 0, 0).u32(0).
		attr(unix.RTA_DST, a.Dst.AsSlice()).attr(unix.RTA_SRC, a.Src.AsSlice()).attr32(unix.RTA_IIF, uint32(a.Interface))
	if a.Mark != 0 {
		body = body.attr32(unix.RTA_MARK, a.Mark)
	}
	return body.attr(unix.RTA_IP_PROTO, []byte{unix.IPPROTO_UDP})
}

// arrivalTTL bounds the life of an answer: accept_local, route_localnet and the martians of a device are not announced.
const arrivalTTL = 5 * time.Second

// arrivalCache keeps answers of one generation.
type arrivalCache struct {
	mu      sync.RWMutex
	gen     uint64
	answers map[Arrival]accepted
}

type accepted struct {
	ok bool
	at time.Time
}

func (c *arrivalCache) lookup(a Arrival, gen uint64) (ok, known bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e, known := c.answers[a]
	return e.ok, known && c.gen == gen && time.Since(e.at) < arrivalTTL
}

func (c *arrivalCache) store(a Arrival, ok bool, gen uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen < c.gen {
		return
	}
	if gen > c.gen || c.answers == nil || len(c.answers) >= cacheLimit {
		c.gen, c.answers = gen, map[Arrival]accepted{}
	}
	c.answers[a] = accepted{ok, time.Now()}
}
