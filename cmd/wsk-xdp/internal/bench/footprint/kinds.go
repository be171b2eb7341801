// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/provider"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

const (
	kindProcess = "process"
	kindUDP     = "udp"
	kindSend    = "send"
	kindReceive = "receive"
)

var kinds = []check.Choice{
	check.Called(kindProcess, "nothing but the process"),
	check.Called(kindUDP, "a bound net.UDPConn that has sent"),
	check.Called(kindSend, "a provider that sends over AF_XDP, with a bound socket that has sent"),
	check.Called(kindReceive, "the same, and it receives over AF_XDP on every queue, by the event callback"),
}

// Kinds are what can be measured.
func Kinds() []string { return check.Names(kinds) }

// Summary describes a kind in a few words.
func Summary(kind string) string { return check.Summary(kinds, kind) }

// many reports whether the kind depends on the number of queues.
func many(kind string) bool { return kind == kindSend || kind == kindReceive }

// opened is what a child has done and holds.
type opened struct {
	// Open is how long the datapath took to open, Bind its socket, First the first datagram from the send to its
	// completion.
	Open, Bind, First time.Duration
	// At is CLOCK_MONOTONIC when the first datagram had completed.
	At int64
	// Queues and UMEM are AF_XDP sockets and the bytes of their chunks.
	Queues int
	UMEM   uint64
}

// monotonic is CLOCK_MONOTONIC, which is the same in every process.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// open opens a kind, and returns what closes it.
func open(t *task) (o opened, stop func() error, err error) {
	switch t.Kind {
	case kindProcess:
		o.At = monotonic()
		return o, func() error { return nil }, nil
	case kindUDP:
		return openUDP(t)
	case kindSend, kindReceive:
		return openProvider(t)
	}
	return o, nil, fmt.Errorf("kind %q is none of %s", t.Kind, strings.Join(Kinds(), ", "))
}

func openUDP(t *task) (o opened, stop func() error, err error) {
	begin := time.Now()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(t.Local))
	if err != nil {
		return o, nil, err
	}
	o.Bind = time.Since(begin)
	begin = time.Now()
	if _, err := conn.WriteToUDPAddrPort(make([]byte, payload), t.Peer); err != nil {
		return o, nil, errors.Join(err, conn.Close())
	}
	o.First, o.At = time.Since(begin), monotonic()
	return o, conn.Close, nil
}

// payload is the bytes of the one datagram.
const payload = 18

func openProvider(t *task) (o opened, stop func() error, err error) {
	options := datapath.Options{Interfaces: []string{t.Interface}, Queues: t.Queues}
	if t.Kind == kindReceive {
		options.Receive, options.Interfaces = options.Interfaces, nil
	}
	begin := time.Now()
	p, err := provider.Open(options)
	if err != nil {
		return o, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	o.Open = time.Since(begin)
	begin = time.Now()
	socket, err := p.Socket(t.Local, func(any, uint32, *wsk.DatagramIndication) wsk.NTSTATUS { return wsk.STATUS_SUCCESS }, nil)
	if err != nil {
		return o, nil, err
	}
	o.Bind = time.Since(begin)
	begin = time.Now()
	if err := send(socket, t.Peer); err != nil {
		return o, nil, err
	}
	o.First, o.At = time.Since(begin), monotonic()
	for _, q := range p.Info().Queues {
		o.Queues++
		o.UMEM += uint64(q.Granted.TxChunks+q.Granted.RxChunks) * uint64(q.Granted.ChunkSize)
	}
	return o, p.Close, nil
}

func send(socket *wsk.Socket, to netip.AddrPort) error {
	_, err := client.Call(context.Background(), "first send", func(irp *wsk.IRP) {
		socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, payload)), Length: payload}, 0, wsk.NewSockaddr(to), nil, irp)
	})
	return err
}
