// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"errors"
	"net"
	"os"
	"time"
)

// connEcho is the usual Go server.
type connEcho struct {
	conn *net.UDPConn
	done chan struct{}
}

func openConnEcho(t *task) (echoer, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(t.Local))
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
type connPing struct{ conn *net.UDPConn }

func openConnPing(t *task) (pinger, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(t.Local))
	if err != nil {
		return nil, err
	}
	return &connPing{conn}, nil
}

func (g *connPing) run(t *task, m *meter) error {
	b, reply := make([]byte, t.Payload), make([]byte, 2048)
	for number := uint64(1); !t.stopped(); number++ {
		stamp(b, number)
		// Not per datagram: it costs, and nobody would. A lost one shows when it passes.
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
