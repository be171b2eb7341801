// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// gsoLane hands the kernel many datagrams for one destination as one buffer that it cuts (UDP_SEGMENT). Connected
// sockets, one for every destination, are its best case.
type gsoLane struct {
	conns    []*net.UDPConn
	rotor    rotor
	segments int
	buf      []byte
	calls    uint64
}

// maxSegmented is the largest buffer: what fits one IPv4 packet before it is cut.
const maxSegmented = 65507

func openGSO(_ context.Context, j *job) (*rig, error) {
	r := &rig{granted: func() any { return nil }}
	var all []*net.UDPConn
	r.close = func() error {
		var errs []error
		for _, c := range all {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}
	for range j.Queues {
		l := &gsoLane{rotor: j.rotor(), segments: min(j.runLength(), maxSegmented/j.Payload)}
		l.buf = bytes.Repeat(j.payload(), l.segments)
		for _, t := range j.Targets {
			conn, err := dialSegmented(t, j.Payload)
			if err != nil {
				return nil, errors.Join(err, r.close())
			}
			all = append(all, conn)
			l.conns = append(l.conns, conn)
		}
		r.lanes = append(r.lanes, l)
	}
	return r, nil
}

func dialSegmented(t target, segment int) (*net.UDPConn, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(t.To))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, segment) })
		err = errors.Join(err, failed)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set UDP_SEGMENT to %d: %w", segment, err), conn.Close())
	}
	return conn, nil
}

func (l *gsoLane) burst() (int, error) {
	l.calls++
	if _, err := l.conns[l.rotor.nextRun()].Write(l.buf); err != nil {
		// ECONNREFUSED is about an earlier datagram, for which there was no socket.
		if later(err) || errors.Is(err, unix.ECONNREFUSED) {
			return 0, nil
		}
		return 0, err
	}
	return l.segments, nil
}

func (l *gsoLane) syscalls() uint64 { return l.calls }
