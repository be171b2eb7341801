// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
)

// How long to wait for a receiver: to be connected and welcomed, and for its report beyond its own waiting.
const (
	helloTime  = 5 * time.Second
	reportTime = 30 * time.Second
)

// Client is the sender's side of a run. Its methods are for one goroutine, but for Latest.
type Client struct {
	Welcome Welcome

	conn   *Conn
	done   chan struct{} // closed when reading has ended
	report *Report
	err    error

	mu        sync.Mutex
	intervals []Interval
}

// maxIntervals bounds what is kept of them: a day.
const maxIntervals = 86_400

// Dial finds the receiver at an address of the datagrams, in the namespace ns, and announces a run. The receiver may refuse:
// the error then has its sentence.
func Dial(ctx context.Context, ns *netns.NS, to netip.AddrPort, hello Hello) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	c, err := connect(ctx, ns, to)
	if err != nil {
		return nil, err
	}
	conn := NewConn(c)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	hello.Protocol = Protocol
	err = conn.Write(Message{Hello: &hello})
	var answer Message
	if err == nil {
		answer, err = conn.Read(time.Now().Add(helloTime))
	}
	switch {
	case err != nil:
		err = fmt.Errorf("what answers at TCP %v is no wsk-xdp recv: %w", to, err)
	case answer.Refused != "":
		err = fmt.Errorf("the receiver at %v refuses: %.200s", to, answer.Refused)
	case answer.Welcome == nil:
		err = fmt.Errorf("what answers at TCP %v is no wsk-xdp recv", to)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	client := &Client{Welcome: *answer.Welcome, conn: conn, done: make(chan struct{})}
	go client.read()
	return client, nil
}

// Look is an error where nobody answers at an address of the datagrams. It announces nothing.
func Look(ctx context.Context, ns *netns.NS, to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	c, err := connect(ctx, ns, to)
	if err != nil {
		return err
	}
	return c.Close()
}

// connect is the connection, or a sentence.
func connect(ctx context.Context, ns *netns.NS, to netip.AddrPort) (c net.Conn, err error) {
	// Of an address that is no name, the dialer makes its one socket on this thread, which is in the namespace.
	err = ns.Do(func() (err error) {
		var d net.Dialer
		d.SetMultipathTCP(false)
		c, err = d.DialContext(ctx, "tcp", to.String())
		return err
	})
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no receiver answers at TCP %v: start wsk-xdp recv %v there", to, to)
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("nothing answers at TCP %v: is wsk-xdp recv %v running there, and does a firewall let TCP through?", to, to)
	case err != nil:
		return nil, fmt.Errorf("connect to the peer: %w", err)
	}
	return c, nil
}

// read takes what the receiver says until it has reported or is gone.
func (c *Client) read() {
	defer close(c.done)
	for {
		m, err := c.conn.Read(time.Time{})
		switch {
		case errors.Is(err, io.EOF):
			c.err = errors.New("it ended the connection before its report")
			return
		case err != nil:
			c.err = err
			return
		case m.Report != nil:
			c.report = m.Report
			return
		case m.Interval != nil:
			c.mu.Lock()
			if len(c.intervals) == maxIntervals {
				c.intervals = c.intervals[:0]
			}
			c.intervals = append(c.intervals, *m.Interval)
			c.mu.Unlock()
		}
	}
}

// Latest is what the receiver has said last.
func (c *Client) Latest() Interval {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.intervals) == 0 {
		return Interval{}
	}
	return c.intervals[len(c.intervals)-1]
}

// End says how many datagrams of each stream were sent, and waits for the report. The connection is closed then.
func (c *Client) End(ctx context.Context, sent []uint64) (*Report, error) {
	defer c.Close()
	if err := c.conn.Write(Message{End: &End{Sent: sent}}); err != nil {
		return nil, err
	}
	timer := time.NewTimer(reportTime)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		return nil, fmt.Errorf("no report within %v", reportTime)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.err != nil {
		return nil, c.err
	}
	c.report.Intervals = append([]Interval{}, c.intervals...)
	return c.report, nil
}

// Close ends the connection without a report.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	return err
}
