// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxDatagram = 65535
	controlSize = 512
	// countBatch is how many datagrams one recvmmsg may fetch.
	countBatch = 64
)

// recvmsg waits for a message and has it taken from the buffers. The error is that of the call or of take, or
// ErrClosed.
func recvmsg(conn syscall.RawConn, buf, oob []byte, take func(data, control []byte, from unix.Sockaddr) error) error {
	var err error
	closed := conn.Read(func(fd uintptr) bool {
		n, oobn, _, from, callErr := unix.Recvmsg(int(fd), buf, oob, 0)
		if errors.Is(callErr, unix.EAGAIN) {
			return false
		}
		if err = callErr; err == nil {
			err = take(buf[:n], oob[:oobn], from)
		}
		return true
	})
	if closed != nil {
		return ErrClosed
	}
	return err
}

func (r *UDPReceiver) readRecords() error {
	buf, oob := make([]byte, maxDatagram), make([]byte, controlSize)
	for {
		var d Datagram
		err := recvmsg(r.conn, buf, oob, func(data, control []byte, from unix.Sockaddr) error {
			d = Datagram{Payload: slices.Clone(data), Source: addrPort(from), TOS: -1, TTL: -1}
			return r.parseControl(&d, control)
		})
		switch {
		case errors.Is(err, ErrClosed):
			return err
		case errors.Is(err, unix.EINTR):
			continue
		case softReceiveError(err):
			continue
		case err != nil:
			return fmt.Errorf("receive on %v: %w", r.local, err)
		}
		r.count.Add(1)
		r.bytes.Add(uint64(len(d.Payload)))
		r.log.add(d)
	}
}

func (r *UDPReceiver) readCounts() error {
	batch := newCountBatch(countBatch)
	for {
		var n int
		var err error
		cerr := r.conn.Read(func(fd uintptr) bool {
			n, err = batch.receive(int(fd))
			return !errors.Is(err, unix.EAGAIN)
		})
		switch {
		case cerr != nil:
			return ErrClosed
		case errors.Is(err, unix.EINTR), softReceiveError(err):
			continue
		case err != nil:
			return fmt.Errorf("receive on %v: %w", r.local, err)
		}
		var bytes uint64
		for i := range n {
			bytes += uint64(batch.length(i))
		}
		if lost, ok := batch.overflow(n - 1); ok {
			r.lost.Store(uint64(lost))
		}
		r.bytes.Add(bytes)
		r.count.Add(uint64(n))
	}
}

// softReceiveError: ICMP errors of our own replies and a link that went away end one call, not the socket.
func softReceiveError(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.EHOSTUNREACH) ||
		errors.Is(err, unix.ENETUNREACH)
}

func (r *UDPReceiver) parseControl(d *Datagram, oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("parse control messages: %w", err)
	}
	ne := binary.NativeEndian
	for _, m := range messages {
		switch at := [2]int32{m.Header.Level, m.Header.Type}; at {
		case [2]int32{unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS}:
			d.Time = time.Unix(int64(ne.Uint64(m.Data)), int64(ne.Uint64(m.Data[8:])))
		case [2]int32{unix.SOL_SOCKET, unix.SO_RXQ_OVFL}:
			r.lost.Store(uint64(ne.Uint32(m.Data)))
		case [2]int32{unix.IPPROTO_IP, unix.IP_TOS}:
			d.TOS = int(m.Data[0])
		case [2]int32{unix.IPPROTO_IP, unix.IP_TTL}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT}:
			d.TTL = int(ne.Uint32(m.Data))
		case [2]int32{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}:
			d.TOS = int(ne.Uint32(m.Data))
		case [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO}:
			// struct in_pktinfo: ifindex, the local address that took it, the destination in the header.
			d.Ifindex = int(ne.Uint32(m.Data))
			d.Destination = netip.AddrFrom4([4]byte(m.Data[8:12]))
		case [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO}:
			d.Destination = netip.AddrFrom16([16]byte(m.Data[:16]))
			d.Ifindex = int(ne.Uint32(m.Data[16:]))
		}
	}
	return nil
}

func isClosed(err error) bool { return errors.Is(err, os.ErrClosed) }

// sockaddr converts an address; a link-local IPv6 address without numeric zone gets ifindex as its scope.
func sockaddr(a netip.AddrPort, ifindex int) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if a.Addr().IsLinkLocalUnicast() || a.Addr().IsLinkLocalMulticast() {
		sa.ZoneId = uint32(ifindex)
	}
	return sa
}

// addrPort converts back. Zones are dropped: the interface index stands beside the address wherever it matters.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
