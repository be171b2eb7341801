// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package conntrack knows whether the kernel tracks the connections of a network namespace, as it does for firewall rules like
// `ct state established accept` and for address translation, and what it has made of a single flow.
//
// A datagram that leaves past the kernel's stack is in no connection, so that such a rule drops the answer to it. Whoever sends that
// way can have the kernel send the first datagram of a flow, and one more before the entry in the kernel's table expires.
//
// # How it is found out
//
// That connections are tracked shows in the table: net.netfilter.nf_conntrack_count is not 0. While it is 0, the table may just be
// empty. Then an empty datagram is sent from a socket to itself, at an address of this host: where connections are tracked,
// it is in the table afterwards. Neither needs privilege, and both hold for nftables, for either iptables, and for what else
// uses the table. What is not seen: a host that exempts what it sends to itself from tracking (notrack) and has no other
// connection at that moment.
//
// Whether a flow is translated (NAT) is asked of ctnetlink, which needs CAP_NET_ADMIN in the namespace.
package conntrack

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Tracker answers for one network namespace until Close. Its methods are safe for concurrent use.
type Tracker struct {
	log *slog.Logger
	// sysctl is the directory of the namespace's settings, which stays its own whoever reads them; nil: there is none.
	sysctl *os.File
	asker  *asker

	state atomic.Pointer[[2]look] // IPv4, IPv6

	mu     sync.Mutex
	probes [2]int // sockets that send to themselves, −1 for none
	closed bool
}

// look is what was found out, and when.
type look struct {
	inUse bool
	at    time.Time
}

// lookAgain is how old an answer of InUse can be.
const lookAgain = time.Second

// Open must be called on a thread in the namespace. A kernel without connection tracking is no error, nor is what cannot be
// read: InUse is false then.
func Open(log *slog.Logger) *Tracker {
	t := &Tracker{log: log, asker: newAsker()}
	t.state.Store(new([2]look))
	t.sysctl, _ = os.Open("/proc/sys/net/netfilter")
	for i, family := range []int{unix.AF_INET, unix.AF_INET6} {
		t.probes[i] = newProbe(family)
	}
	return t
}

// newProbe is a socket with a port of its own, −1 where there is none to be had.
func newProbe(family int) int {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1
	}
	if family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(unspecified(family), 0)))
	}
	if err != nil {
		unix.Close(fd)
		return -1
	}
	return fd
}

func unspecified(family int) netip.Addr {
	if family == unix.AF_INET6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// Close gives everything back. Later questions are answered with what is the case without connection tracking.
func (t *Tracker) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	t.sysctl.Close() // nil is allowed
	t.asker.close()
	for _, fd := range t.probes {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// InUse reports whether connections are tracked in the namespace. local is an address of this host, of the family in question,
// to which a datagram may be sent. An answer is a second old at most; a fresh one takes some 20 µs.
func (t *Tracker) InUse(local netip.Addr) bool {
	local = local.Unmap()
	i := familyIndex(local)
	if l := t.state.Load()[i]; !l.at.IsZero() && time.Since(l.at) < lookAgain {
		return l.inUse
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before := *t.state.Load()
	if l := before[i]; !l.at.IsZero() && time.Since(l.at) < lookAgain {
		return l.inUse // somebody else has looked meanwhile
	}
	if t.closed {
		return false
	}
	now := look{t.ask(local, i), time.Now()}
	if now.inUse != before[i].inUse {
		t.log.Info("connection tracking", "family", [2]string{"IPv4", "IPv6"}[i], "in use", now.inUse)
	}
	before[i] = now
	t.state.Store(&before)
	return now.inUse
}

func familyIndex(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// ask looks into the kernel's table, and if that is empty puts something in.
func (t *Tracker) ask(local netip.Addr, i int) bool {
	n, ok := t.number("nf_conntrack_count")
	if !ok || n > 0 {
		return n > 0
	}
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if i == 1 {
		loopback = netip.IPv6Loopback()
	}
	for _, to := range []netip.Addr{local, loopback} {
		err := sendToSelf(t.probes[i], to)
		if errors.Is(err, unix.EPERM) {
			return true // a firewall forbids even that, which says that there is one
		}
		if err == nil {
			break
		}
	}
	n, _ = t.number("nf_conntrack_count")
	return n > 0
}

// sendToSelf sends an empty datagram to the socket's own port, and takes the one before it out again.
func sendToSelf(fd int, to netip.Addr) error {
	if fd < 0 {
		return unix.EBADF
	}
	_, _, _ = unix.Recvfrom(fd, nil, unix.MSG_DONTWAIT)
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	return unix.Sendto(fd, nil, unix.MSG_DONTWAIT, sockaddr(netip.AddrPortFrom(to, portOf(sa))))
}

func portOf(sa unix.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

func sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// Timeouts of the kernel where they cannot be read (net/netfilter/nf_conntrack_proto_udp.c).
const (
	defaultTimeout = 30 * time.Second
	leastTimeout   = 3 * time.Second
)

// Timeout is how long an entry for UDP lives without a datagram, in whichever state it is
// (net.netfilter.nf_conntrack_udp_timeout, …_stream), at least 3 s. Timeouts that a rule sets for single flows are not seen.
func (t *Tracker) Timeout() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return defaultTimeout
	}
	shortest := time.Duration(0)
	for _, name := range []string{"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"} {
		if n, ok := t.number(name); ok && (shortest == 0 || time.Duration(n)*time.Second < shortest) {
			shortest = time.Duration(n) * time.Second
		}
	}
	if shortest == 0 {
		return defaultTimeout
	}
	return max(shortest, leastTimeout)
}

// Translates reports whether the kernel gives the datagrams of a UDP flow another source or destination (NAT). It does so only for
// flows that it has seen. An error says that it is not known, for want of CAP_NET_ADMIN as a rule.
func (t *Tracker) Translates(src, dst netip.AddrPort) (bool, error) {
	return t.asker.translates(src, dst)
}

// number reads a setting of the namespace. The file is there only while the kernel has the module. The caller holds mu.
func (t *Tracker) number(name string) (int64, bool) {
	if t.sysctl == nil {
		return 0, false
	}
	fd, err := unix.Openat(int(t.sysctl.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var b [24]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseInt(strings.TrimSpace(string(b[:n])), 10, 32)
	return v, err == nil && v >= 0
}
