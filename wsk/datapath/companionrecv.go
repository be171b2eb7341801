// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// start begins to read what the kernel has for the companion socket. The goroutine ends when the socket is closed.
func (c *companion) start() {
	c.ep.dp.goRun(func() {
		buf := make([]byte, 1)
		control := make([]byte, 512)
		for c.read(buf, control) {
		}
	})
}

// read takes one datagram or one ICMP error off the socket and reports whether the socket is still open. Nobody can ask for
// the datagrams yet, so they are counted and let go; the errors say which paths have become narrower.
func (c *companion) read(buf, control []byte) bool {
	err := c.raw.Read(func(fd uintptr) bool {
		if c.readError(int(fd), control) {
			return true
		}
		_, _, _, _, err := unix.Recvmsg(int(fd), buf, nil, unix.MSG_DONTWAIT)
		if err == nil {
			c.ep.dp.stats.companionDiscarded.Add(1)
		}
		return !errors.Is(err, unix.EAGAIN)
	})
	return err == nil
}

// readError takes one entry off the socket's error queue (ip(7), IP_RECVERR) and reports whether there was one.
func (c *companion) readError(fd int, control []byte) bool {
	var payload [1]byte
	_, n, _, from, err := unix.Recvmsg(fd, payload[:], control, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return false
	}
	c.ep.dp.stats.icmpErrors.Add(1)
	if tooBig(control[:n]) {
		if a, ok := sockaddrAddr(from); ok {
			c.ep.pathNarrowed(a)
		}
	}
	return true
}

// tooBig reports whether an error is "fragmentation needed" or "packet too big", which the kernel reports as EMSGSIZE
// after it has remembered the new path MTU.
func tooBig(control []byte) bool {
	msgs, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return false
	}
	for _, m := range msgs {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		// struct sock_extended_err begins with the errno, in host order.
		if (v4 || v6) && len(m.Data) >= 4 && nativeUint32(m.Data) == uint32(unix.EMSGSIZE) {
			return true
		}
	}
	return false
}

func sockaddrAddr(sa unix.Sockaddr) (netip.Addr, bool) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(sa.Addr), true
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(sa.Addr).Unmap(), true
	}
	return netip.Addr{}, false
}

// pathNarrowed makes every flow to an address learn its path MTU anew.
func (ep *endpoint) pathNarrowed(a netip.Addr) {
	ep.dp.routes.Flush(a)
	ep.flows.each(func(f *flow) {
		if f.to.IP().WithZone("") == a {
			if p := f.path.Load(); p != nil {
				f.path.CompareAndSwap(p, nil)
			}
		}
	})
}
