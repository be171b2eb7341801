// SPDX-License-Identifier: Apache-2.0

package recv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// helloTime bounds the wait for the first word of whoever connects.
const helloTime = 5 * time.Second

// Control serves senders that want their runs counted. Anybody who reaches the port may be one: it reads their hello and
// their end, and does nothing else for them.
type Control struct {
	sink     *Sink
	engine   Engine
	drain    time.Duration
	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	serving  sync.WaitGroup

	mu      sync.Mutex
	conns   int
	refused int // connections that are being told that there is no room
	reports int
}

// Listen listens for senders on the address of the datagrams, in the namespace. drain is how long a run's stragglers are
// waited for, from the latest datagram on.
func Listen(ns *netns.NS, local netip.AddrPort, sink *Sink, engine Engine, drain time.Duration) (*Control, error) {
	c := &Control{sink: sink, engine: engine, drain: drain}
	err := ns.Do(func() (err error) {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		network := "tcp"
		if local.Addr().Is4() {
			network = "tcp4"
		}
		c.listener, err = lc.Listen(context.Background(), network, listenText(local))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen for senders: %w", err)
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.serving.Go(c.accept)
	return c, nil
}

// Close ends every connection.
func (c *Control) Close() error {
	err := c.listener.Close()
	c.stop()
	c.serving.Wait()
	return err
}

func (c *Control) accept() {
	for {
		conn, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select { // out of descriptors, for instance
			case <-time.After(100 * time.Millisecond):
				continue
			case <-c.ctx.Done():
				return
			}
		}
		count, serve := &c.conns, c.serve
		if !c.enter(count, 1) {
			// Who comes when there is no room is told so, as long as not too many are.
			if count, serve = &c.refused, refuse; !c.enter(count, 1) {
				conn.Close()
				continue
			}
		}
		c.serving.Go(func() {
			defer c.enter(count, -1)
			defer conn.Close()
			stop := context.AfterFunc(c.ctx, func() { conn.Close() })
			defer stop()
			serve(peer.NewConn(conn))
		})
	}
}

// enter counts connections of a kind, of which there are no more than runs.
func (c *Control) enter(count *int, n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *count+n > MaxRuns {
		return false
	}
	*count += n
	return true
}

// refuseTime is how long who is refused has to say what they want: an answer to one who has not been heard may be lost with the connection.
const refuseTime = time.Second

// refuse tells a sender that there is no room.
func refuse(conn *peer.Conn) {
	if _, err := conn.Read(time.Now().Add(refuseTime)); err == nil {
		_ = conn.Write(peer.Message{Refused: fmt.Sprintf("%d senders are connected, which is as many as it serves: try again later", MaxRuns)})
	}
}

// reporting counts the senders that have said their end and wait for their report.
func (c *Control) reporting(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports += n
}

// Idle is whether no sender waits for its report. A connection alone is nothing to wait for: anybody may have it.
func (c *Control) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reports == 0
}

// serve is one connection: a run from hello to report. An error of it ends the connection; the run then goes on as one that
// nobody has announced, as long as its datagrams come.
func (c *Control) serve(conn *peer.Conn) {
	m, err := conn.Read(time.Now().Add(helloTime))
	if err != nil || m.Hello == nil {
		refusal := "say hello first"
		if err != nil {
			refusal = err.Error()
		}
		_ = conn.Write(peer.Message{Refused: refusal}) // who is gone is not told
		return
	}
	clock := stamp.Identity()
	hello := &announced{Hello: *m.Hello, shared: clock != "" && clock == m.Hello.Clock}
	r, refusal := c.sink.announce(hello)
	if r == nil {
		_ = conn.Write(peer.Message{Refused: refusal})
		return
	}
	drops, cpu := c.engine.Drops(), host.CPUTime()
	defer c.sink.abandon(r) // where it does not end in good order
	version := host.ReadBuild().Version
	if conn.Write(peer.Message{Welcome: &peer.Welcome{Version: version, Engine: c.engine.Name(), ClockShared: hello.shared}}) != nil {
		return
	}
	sent, err := c.until(conn, r)
	if err != nil {
		return
	}
	c.reporting(1)
	defer c.reporting(-1)
	c.sink.said(r, sent)
	c.wait(r)
	c.sink.end(r)
	report := c.sink.reportOf(r)
	report.Version, report.Engine = version, c.engine.Name()
	report.Drops = since(drops, c.engine.Drops())
	report.CPU = host.CPUTime().Sub(cpu).Total().Nanoseconds()
	report.Elapsed = time.Since(r.begun).Nanoseconds()
	report.Intervals = []peer.Interval{}
	_ = conn.Write(peer.Message{Report: &report})
}

// until tells the sender every second how far its run is, until it says that it has sent everything.
func (c *Control) until(conn *peer.Conn, r *run) ([]uint64, error) {
	type said struct {
		m   peer.Message
		err error
	}
	heard := make(chan said, 1)
	go func() {
		m, err := conn.Read(time.Time{})
		heard <- said{m, err}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case s := <-heard:
			if s.err == nil && s.m.End == nil {
				s.err = io.ErrUnexpectedEOF
			}
			if s.err != nil {
				return nil, s.err
			}
			return s.m.End.Sent, nil
		case <-tick.C:
			i := c.sink.intervalOf(r)
			if err := conn.Write(peer.Message{Interval: &i}); err != nil {
				conn.Close() // ends the read
				<-heard
				return nil, err
			}
		}
	}
}

// lookAgain is how often it is looked whether stragglers have come.
const lookAgain = 5 * time.Millisecond

// wait waits until all that was sent has come, or nothing has come for a while. Where this process had no processor for so long, nothing was
// read, which is another matter.
func (c *Control) wait(r *run) {
	begun := time.Now()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		done, last := c.sink.complete(r)
		if last.Before(begun) {
			last = begun
		}
		if !done && time.Since(last) >= c.drain {
			c.engine.CatchUp()
			read, latest := c.sink.complete(r)
			done = read || !latest.After(last)
		}
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			return
		}
	}
}

// since is how far counters have come.
func since(before, now map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for cause, n := range now {
		if n > before[cause] {
			out[cause] = n - before[cause]
		}
	}
	return out
}
