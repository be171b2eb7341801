// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"net"

	"golang.org/x/net/ipv4"
)

// writeBatchLane sends vectors through golang.org/x/net, as a Go program that wants them does.
type writeBatchLane struct {
	conn  *ipv4.PacketConn
	msgs  []ipv4.Message
	addrs []net.Addr
	rotor rotor
	calls uint64
}

func openSendmmsg(_ context.Context, j *job) (*rig, error) {
	return openConns(j, func(conn *net.UDPConn) (lane, error) {
		l := &writeBatchLane{conn: ipv4.NewPacketConn(conn), msgs: make([]ipv4.Message, burst), rotor: j.rotor()}
		for _, t := range j.Targets {
			l.addrs = append(l.addrs, net.UDPAddrFromAddrPort(t.To))
		}
		payload := j.payload()
		for i := range l.msgs {
			l.msgs[i] = ipv4.Message{Buffers: [][]byte{payload}, Addr: l.addrs[0]}
		}
		return l, nil
	})
}

func (l *writeBatchLane) burst() (int, error) {
	if len(l.addrs) > 1 {
		for i := range l.msgs {
			l.msgs[i].Addr = l.addrs[l.rotor.next()]
		}
	}
	l.calls++
	n, err := l.conn.WriteBatch(l.msgs, 0)
	if err != nil && later(err) {
		err = nil
	}
	return max(n, 0), err
}

func (l *writeBatchLane) syscalls() uint64 { return l.calls }

// vectorLane makes the system call itself, on a vector that is written once: the least that sendmmsg can cost in Go.
type vectorLane struct {
	conn    *net.UDPConn // keeps fd open
	fd      int
	vector  *mmsgVector
	targets int
	rotor   rotor
	calls   uint64
}

func openSendmmsgRaw(_ context.Context, j *job) (*rig, error) {
	return openConns(j, func(conn *net.UDPConn) (lane, error) {
		raw, err := conn.SyscallConn()
		if err != nil {
			return nil, err
		}
		l := &vectorLane{conn: conn, targets: len(j.Targets), rotor: j.rotor()}
		if err := raw.Control(func(fd uintptr) { l.fd = int(fd) }); err != nil {
			return nil, err
		}
		l.vector = newMmsgVector(j.payload(), j.addrPorts(), burst)
		return l, nil
	})
}

func (l *vectorLane) burst() (int, error) {
	if l.targets > 1 {
		for i := range burst {
			l.vector.aim(i, l.rotor.next())
		}
	}
	l.calls++
	n, errno := l.vector.send(l.fd)
	if errno != 0 && !later(errno) {
		return 0, errno
	}
	return n, nil
}

func (l *vectorLane) syscalls() uint64 { return l.calls }
