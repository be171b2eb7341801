// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection of type SOCK_SEQPACKET. One goroutine receives; any may send.
type Conn struct {
	conn *net.UnixConn
	raw  syscall.RawConn
	room int // bytes of the send buffer

	// Of the goroutine that receives.
	in       []byte
	memory   Memory // nil: in is kept while nothing comes
	received int
	flags    int
	inErr    error
	receive  func(fd uintptr) bool

	mu     sync.Mutex // one message, or question, at a time
	out    []byte
	outErr error
	queued int
	closed bool
	send   func(fd uintptr) bool
	ask    func(fd uintptr)
}

// What ends a connection besides io.EOF.
var (
	ErrRights = errors.New("a message carried descriptors or other control data")
	ErrSize   = errors.New("a message is empty or longer than the buffer")
	ErrFull   = errors.New("the client does not read: its socket is full")
)

// sendBuffer is how much may lie in a client's socket, if the host lets us.
const sendBuffer = 4 << 20

// New takes over a connection. It closes it when it fails.
func New(conn *net.UnixConn) (*Conn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	c := &Conn{conn: conn, raw: raw}
	c.receive = func(fd uintptr) bool {
		if c.in == nil {
			c.in = c.memory.Take()
		}
		if c.received, c.flags, c.inErr = recvmsg(int(fd), c.in); c.inErr != unix.EAGAIN {
			return true
		}
		if c.memory != nil {
			c.memory.Give(c.in)
			c.in = nil
		}
		return false
	}
	c.send = func(fd uintptr) bool {
		c.outErr = sendto(int(fd), c.out)
		return true
	}
	c.ask = func(fd uintptr) {
		if q, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			c.queued = q
		}
	}
	if err := c.configure(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("set up a client's connection: %w", err)
	}
	return c, nil
}

// configure refuses descriptors where the kernel can (Linux 6.16), and asks for a large send buffer.
func (c *Conn) configure() error {
	var err error
	controlErr := c.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0)
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
		}
		c.room, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF)
	})
	return errors.Join(controlErr, err)
}

// SetDeadline bounds the wait of Receive; the zero time lifts the bound.
func (c *Conn) SetDeadline(t time.Time) { _ = c.conn.SetReadDeadline(t) }

// Memory is where memory for a message comes from.
type Memory interface {
	Take() []byte
	Give([]byte)
}

// ReceiveLent is Receive with memory that is given back while nothing comes. b, nil or memory that was taken, is the first
// to be used; the answer is what the message lies in, or nil.
func (c *Conn) ReceiveLent(b []byte, m Memory) (memory []byte, n int, err error) {
	c.memory = m
	n, err = c.Receive(b)
	memory, c.in, c.memory = c.in, nil, nil
	return memory, n, err
}

// Receive waits for the next message and answers with its length. It allocates nothing.
func (c *Conn) Receive(b []byte) (int, error) {
	c.in = b
	if err := c.raw.Read(c.receive); err != nil {
		return 0, err
	}
	switch {
	case c.inErr == unix.ECONNRESET: // the client has closed with messages unread
		return 0, io.EOF
	case c.inErr != nil:
		return 0, c.inErr
	case c.flags&unix.MSG_CTRUNC != 0:
		return 0, ErrRights
	case c.flags&unix.MSG_TRUNC != 0:
		return 0, ErrSize
	case c.received == 0:
		return 0, io.EOF
	}
	return c.received, nil
}

// Send sends a message and does not wait: ErrFull says that the client's socket has no room for it. Any other error is
// the end of the connection, as after Break: it does not pass, a client that has shut down reading reads no more. It
// allocates nothing.
func (c *Conn) Send(msg []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.sendLocked(msg)
}

func (c *Conn) sendLocked(msg []byte) error {
	c.out = msg
	err := c.raw.Write(c.send)
	c.out = nil
	switch {
	case err != nil:
		return err
	case c.outErr == unix.EAGAIN:
		return ErrFull
	case c.outErr != nil:
		c.Break()
	}
	return c.outErr
}

// HasRoom reports whether the socket can take a message of n bytes and has half of its room left for others.
func (c *Conn) HasRoom(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = c.room
	_ = c.raw.Control(c.ask)
	return c.queued == 0 || c.queued+n+n/4 <= c.room/2
}

// AwaitRoom waits until the client has read most of what was sent, or the connection ends. It looks from time to time:
// the runtime's way to wait for room would keep everybody else from sending.
func (c *Conn) AwaitRoom() error {
	for pause := time.Millisecond; ; pause = min(2*pause, maxPause) {
		ready, over := false, false
		err := c.raw.Control(func(fd uintptr) {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			n, err := unix.Poll(p, 0)
			ready = err == nil && n != 0
			over = ready && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
		})
		switch {
		case err != nil:
			return err
		case over:
			return net.ErrClosed
		case ready:
			return nil
		}
		time.Sleep(pause)
	}
}

const maxPause = 20 * time.Millisecond

// Break ends the connection: Receive returns io.EOF. It may be called by any goroutine, again and again.
func (c *Conn) Break() {
	_ = c.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}

// Close sends a last message, unless it is nil, and closes. What the client has sent and nobody has read is thrown away
// first: it would find ECONNRESET before the message. No other goroutine receives any more.
func (c *Conn) Close(last []byte) {
	c.mu.Lock()
	if last != nil && !c.closed {
		_ = c.sendLocked(last)
	}
	c.closed = true // nothing comes behind it
	c.mu.Unlock()
	_ = c.raw.Control(func(fd uintptr) {
		_ = unix.Shutdown(int(fd), unix.SHUT_RD)
		var b [1]byte
		for range maxUnread {
			if n, _, err := recvmsg(int(fd), b[:]); n == 0 && err != unix.EINTR {
				break
			}
		}
	})
	_ = c.conn.Close()
}

// maxUnread is more messages than fit into a send buffer of any reasonable size.
const maxUnread = 1 << 14
