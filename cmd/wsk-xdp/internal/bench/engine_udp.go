// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// udpLane is what most Go programs do: one system call per datagram.
type udpLane struct {
	conn    *net.UDPConn
	targets []netip.AddrPort
	rotor   rotor
	payload []byte
	calls   uint64
}

func openUDP(_ context.Context, j *job) (*rig, error) {
	return openConns(j, func(conn *net.UDPConn) (lane, error) {
		return &udpLane{conn: conn, targets: j.addrPorts(), rotor: j.rotor(), payload: j.payload()}, nil
	})
}

func (l *udpLane) burst() (n int, err error) {
	for range burst {
		l.calls++
		switch _, err := l.conn.WriteToUDPAddrPort(l.payload, l.targets[l.rotor.next()]); {
		case err == nil:
			n++
		case !later(err):
			return n, err
		}
	}
	return n, nil
}

func (l *udpLane) syscalls() uint64 { return l.calls }

func (j *job) addrPorts() []netip.AddrPort {
	out := make([]netip.AddrPort, len(j.Targets))
	for i, t := range j.Targets {
		out[i] = t.To
	}
	return out
}

// openConns makes a lane for every queue over an unconnected socket.
func openConns(j *job, newLane func(*net.UDPConn) (lane, error)) (*rig, error) {
	r := &rig{granted: func() any { return nil }}
	var conns []*net.UDPConn
	r.close = func() error {
		var errs []error
		for _, c := range conns {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}
	for range j.Queues {
		conn, err := net.ListenUDP("udp4", nil)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		conns = append(conns, conn)
		l, err := newLane(conn)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.lanes = append(r.lanes, l)
	}
	return r, nil
}
