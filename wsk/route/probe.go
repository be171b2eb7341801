// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// prober makes the kernel resolve neighbours, by NTF_USE or, without CAP_NET_ADMIN, by giving it something to send.
type prober struct {
	datagrams atomic.Bool // NTF_USE is not allowed

	mu   sync.Mutex // keeps the descriptors open while they are used
	udp4 int        // −1 when the family is not there
	udp6 int
}

// discardPort is where probe datagrams go (RFC 863). They are empty and their hop limit is 1.
const discardPort = 9

// newProber must run in the namespace. The sockets are made now because that is possible only there; they take no port
// before the first datagram.
func newProber(datagrams bool) (*prober, error) {
	p := &prober{udp4: -1, udp6: -1}
	p.datagrams.Store(datagrams)
	for _, s := range []struct {
		fd                  *int
		family, level, hops int
	}{
		{&p.udp4, unix.AF_INET, unix.IPPROTO_IP, unix.IP_TTL},
		{&p.udp6, unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS},
	} {
		fd, err := unix.Socket(s.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err == nil {
			*s.fd = fd
			err = unix.SetsockoptInt(fd, s.level, s.hops, 1)
		}
		if err == nil {
			// Nobody reads what comes back.
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0)
		}
		if err != nil {
			p.close()
			return nil, fmt.Errorf("open probe socket: %w", err)
		}
	}
	return p, nil
}

func (p *prober) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fd := range []*int{&p.udp4, &p.udp6} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// solicit starts the resolution or verification of k. When the kernel knows a usable address, that entry is returned,
// and it is verified only if it is stale.
//
// The entry is looked at first because NTF_USE on a permanent one would take its permanence away (net/core/neighbour.c,
// __neigh_update), and the table may not have heard of it yet.
func (p *prober) solicit(r *requester, k neighbourKey) (neighbour, error) {
	n, err := r.neighbour(k)
	switch {
	case err == nil && n.usable() && n.state != unix.NUD_STALE:
		return n, nil
	case err == nil, errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
	default:
		return n, err
	}
	absent := errors.Is(err, unix.ENOENT)
	if p.datagrams.Load() {
		return n, p.send(k)
	}
	err = r.useNeighbour(k, absent)
	switch {
	case errors.Is(err, unix.EEXIST):
		// Somebody was faster; that one is being resolved, or is usable and its event is on the way.
		return n, nil
	case errors.Is(err, unix.EPERM):
		p.datagrams.Store(true)
		return n, p.send(k)
	}
	return n, err
}

// send gives the kernel an empty datagram to send to k out of k's interface. MSG_DONTROUTE: the address is on the link
// whatever the routes say, as that of a gateway with "onlink". IP_PKTINFO chooses the interface without the privilege that
// SO_BINDTODEVICE needs before Linux 5.7.
func (p *prober) send(k neighbourKey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var fd int
	var to unix.Sockaddr
	var control []byte
	if k.ip.Is4() {
		fd, to = p.udp4, &unix.SockaddrInet4{Port: discardPort, Addr: k.ip.As4()}
		control = unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(k.index)})
	} else {
		fd, to = p.udp6, &unix.SockaddrInet6{Port: discardPort, Addr: k.ip.As16(), ZoneId: uint32(k.index)}
		control = unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(k.index)})
	}
	if fd < 0 {
		return fmt.Errorf("probe %v: %w", k.ip, unix.EAFNOSUPPORT)
	}
	// A refusal that an earlier probe brought back is reported by the next send, once.
	err := unix.Sendmsg(fd, nil, control, to, unix.MSG_DONTROUTE|unix.MSG_DONTWAIT)
	if errors.Is(err, unix.ECONNREFUSED) {
		err = unix.Sendmsg(fd, nil, control, to, unix.MSG_DONTROUTE|unix.MSG_DONTWAIT)
	}
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("probe %v on interface %d by datagram: %w", k.ip, k.index, err)
	}
	return nil
}
