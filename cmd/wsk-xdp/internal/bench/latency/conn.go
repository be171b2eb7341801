// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/provider"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
)

// packetConn is what connections of package net and of package netconn have in common.
type packetConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	SetReadDeadline(t time.Time) error
	Close() error
}

func listenKernel(t *task) (packetConn, error) {
	return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(t.Local))
}

// providedConn is a connection with the provider under it.
type providedConn struct {
	*netconn.Conn
	p *provider.Provider
}

func listenProvider(t *task) (packetConn, error) {
	p, err := openProvider(t)
	if err != nil {
		return nil, err
	}
	conn, err := netconn.Listen(p.NPI(), "udp4", t.Local, netconn.Options{})
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return providedConn{conn, p}, nil
}

// Close closes the connection, then the provider.
func (c providedConn) Close() error { return errors.Join(c.Conn.Close(), c.p.Close()) }

// connEcho is the usual Go server.
type connEcho struct {
	conn packetConn
	done chan struct{}
}

func openConnEcho(t *task) (echoer, error) { return newConnEcho(listenKernel(t)) }

func openNetconnEcho(t *task) (echoer, error) { return newConnEcho(listenProvider(t)) }

func newConnEcho(conn packetConn, err error) (echoer, error) {
	if err != nil {
		return nil, err
	}
	e := &connEcho{conn, make(chan struct{})}
	go func() {
		defer close(e.done)
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = conn.WriteToUDPAddrPort(b[:n], from)
			}
		}
	}()
	return e, nil
}

func (e *connEcho) close() error {
	err := e.conn.Close()
	<-e.done
	return err
}

// connPing is the usual Go client.
type connPing struct{ conn packetConn }

func openConnPing(t *task) (pinger, error) { return newConnPing(listenKernel(t)) }

func openNetconnPing(t *task) (pinger, error) { return newConnPing(listenProvider(t)) }

func newConnPing(conn packetConn, err error) (pinger, error) {
	if err != nil {
		return nil, err
	}
	return &connPing{conn}, nil
}

func (g *connPing) run(t *task, m *meter) error {
	b, reply := make([]byte, t.Payload), make([]byte, 2048)
	for number := uint64(1); !t.stopped(); number++ {
		stamp(b, number)
		// Not for every datagram: that costs time, and no program does it. A lost one is noticed when the deadline
		// passes.
		if number%64 == 1 {
			if err := g.conn.SetReadDeadline(time.Now().Add(giveUp)); err != nil {
				return err
			}
		}
		begin := time.Now()
		if _, err := g.conn.WriteToUDPAddrPort(b, t.Peer); err != nil {
			return err
		}
		end, err := g.await(reply, number)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if end.Sub(begin) > giveUp/2 {
				m.lose()
			}
			if err := g.conn.SetReadDeadline(time.Now().Add(giveUp)); err != nil {
				return err
			}
		} else if err != nil {
			return err
		} else {
			m.record(begin, end)
		}
		if m.over(end) {
			return nil
		}
		if t.Interval > 0 {
			time.Sleep(t.Interval)
		}
	}
	return nil
}

// await reads until the reply with that number comes.
func (g *connPing) await(b []byte, number uint64) (time.Time, error) {
	for {
		n, _, err := g.conn.ReadFromUDPAddrPort(b)
		now := time.Now()
		if err != nil || sequence(b[:n]) == number {
			return now, err
		}
	}
}

func (g *connPing) close() error { return g.conn.Close() }
