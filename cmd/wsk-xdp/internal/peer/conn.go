// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Conn carries messages. One goroutine may write while another reads.
type Conn struct {
	c net.Conn
	r *bufio.Reader
}

// NewConn takes a connection over.
func NewConn(c net.Conn) *Conn { return &Conn{c, bufio.NewReaderSize(c, 4096)} }

// writeTime bounds how long the other end may leave a message unread.
const writeTime = 5 * time.Second

// Write sends a message. It is for one goroutine at a time.
func (c *Conn) Write(m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write to the peer: %w", err)
	}
	if len(line) >= MaxLine {
		return fmt.Errorf("write to the peer: a message of %d bytes is too long", len(line))
	}
	if err := c.c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("write to the peer: %w", err)
	}
	if _, err := c.c.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write to the peer: %w", err)
	}
	return nil
}

// Read waits for a message until the deadline; the zero time is none. The end of the connection is io.EOF.
func (c *Conn) Read(deadline time.Time) (m Message, err error) {
	if err := c.c.SetReadDeadline(deadline); err != nil {
		return m, fmt.Errorf("read from the peer: %w", err)
	}
	line, err := readLine(c.r)
	if err != nil {
		return m, err
	}
	return Parse(line)
}

// readLine reads up to the next newline, MaxLine bytes at most.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > MaxLine:
			return nil, errors.New("read from the peer: a message that is too long")
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil, io.EOF
		}
		return nil, fmt.Errorf("read from the peer: %w", err)
	}
}

// Close ends the connection, and the read and the write that wait on it.
func (c *Conn) Close() error { return c.c.Close() }
