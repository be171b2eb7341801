// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// dial is a connection that is being made.
type dial struct {
	ctx     context.Context
	abandon context.CancelFunc
	over    chan struct{} // closed when it has succeeded or failed
}

func newDial() *dial {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	return &dial{ctx: ctx, abandon: cancel, over: make(chan struct{})}
}

// A connection has been greeted by the daemon.
type connection struct {
	*net.UnixConn
	welcome ipc.Welcome
	message *message // what the next message may be read into
}

// connect reaches the daemon and greets it.
func (d *dial) connect(path, name string) (*connection, error) {
	defer d.abandon()
	var dialer net.Dialer
	conn, err := dialer.DialContext(d.ctx, "unixpacket", path)
	switch {
	case d.ctx.Err() == context.DeadlineExceeded:
		return nil, fmt.Errorf("connect to %s: %w", path, errTimeout)
	case err != nil:
		return nil, err
	}
	c := conn.(*net.UnixConn)
	_ = c.SetWriteBuffer(sendBuffer) // what the host allows of it
	stop := context.AfterFunc(d.ctx, func() { c.SetDeadline(time.Now()) })
	greeted, err := greet(c, name)
	if !stop() && err == nil {
		err = errTimeout
	}
	if err != nil {
		c.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: HELLO to %s", errTimeout, path)
		}
		return nil, err
	}
	return greeted, nil
}

// wanted is what a client has use for. The session may have less.
const wanted = ipc.FeatureReceive | ipc.FeatureSegment | ipc.FeatureCoalesced | ipc.FeatureMulticast | ipc.FeatureErrors

// greet sends HELLO and reads the answer.
func greet(c *net.UnixConn, name string) (*connection, error) {
	hello := ipc.Hello{Minor: ipc.Minor, Features: wanted, MaxMessage: ipc.MaxMessage, Name: printable(name)}
	msg := hello.Append(ipc.Header{Type: ipc.TypeHello, Seq: 1}.Append(nil))
	_, sendErr := c.Write(msg) // a daemon that has refused already has closed its end, and its reason is to be read
	m := newMessage()
	n, err := read(c, m.buf)
	switch {
	case err == nil:
	case sendErr != nil && !errors.Is(sendErr, syscall.EPIPE) && !errors.Is(sendErr, syscall.ECONNRESET):
		return nil, fmt.Errorf("client: %w", sendErr)
	default:
		return nil, err
	}
	h, body, err := ipc.ParseAnswer(m.buf[:n])
	if err != nil {
		return nil, err
	}
	switch {
	case h.Type == ipc.TypeError:
		return nil, readRefusal(ipc.TypeError, h, body)
	case h.Type != ipc.TypeHello.Reply() || h.Seq != 1:
		return nil, &ipc.Violation{Reason: ipc.ReasonState, Type: h.Type, Rule: "HELLO is answered first"}
	case h.Status != 0:
		return nil, readRefusal(ipc.TypeHello, h, body)
	}
	greeted := &connection{UnixConn: c, message: m}
	if err := greeted.welcome.Decode(body); err != nil {
		return nil, err
	}
	return greeted, nil
}

// sendBuffer is room for what a socket may have under way in messages of the largest size. Where messages fill the room the
// writer sleeps until the daemon has read three quarters of them.
const sendBuffer = ipc.MaxSends * ipc.MaxMessage

const connectTimeout = 5 * time.Second // for the connection and the answer to HELLO

// read reads one message. A daemon that has closed its end with requests unread leaves ECONNRESET in front of what it
// has sent before, its reason above all.
func read(c *net.UnixConn, buf []byte) (int, error) {
	n, err := c.Read(buf)
	if err != nil && errors.Is(err, syscall.ECONNRESET) {
		n, err = c.Read(buf)
	}
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		return n, err
	}
	return 0, errGone
}

// printable makes a name one that HELLO takes.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}
