// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// parts hands out the parts of a dump, one after the other; each is good until the next call. end must be called before
// the socket is used for something else.
type parts struct {
	next func() ([]byte, error)
	end  func()
}

// partsOf reads the answers to the last request, about a table. The kernel makes each part of a dump within the call that
// reads the one before, and a million routes take it as long as looking at them takes us; so a goroutine reads those
// ahead. Everything else is small.
func (d *dumper) partsOf(table uint16) parts {
	if table != unix.RTM_GETROUTE {
		return parts{func() ([]byte, error) { return d.receive(d.buf) }, func() {}}
	}
	for len(d.buffers) < readAhead {
		d.buffers = append(d.buffers, make([]byte, aheadSize))
	}
	type part struct {
		b   []byte
		err error
	}
	read, free := make(chan part, readAhead), make(chan []byte, readAhead)
	stop, ended := make(chan struct{}), make(chan struct{})
	for _, b := range d.buffers {
		free <- b
	}
	go func() {
		defer close(ended)
		for last := false; !last; {
			var buf []byte
			select {
			case buf = <-free:
			case <-stop:
				return
			}
			b, err := d.receive(buf)
			last = err != nil || endsDump(b, d.seq)
			read <- part{b, err}
		}
	}()
	var now []byte
	return parts{
		next: func() ([]byte, error) {
			if now != nil {
				free <- now
			}
			p := <-read
			now = p.b[:cap(p.b)]
			return p.b, p.err
		},
		end: func() {
			close(stop)
			<-ended
		},
	}
}

// readAhead is how many parts of a dump are in memory at once: one that is looked at, one that waits, one that is read.
const readAhead = 3

// aheadSize is twice what the kernel fills of it.
const aheadSize = 64 << 10

// receive is one part of what the kernel says, in buf.
func (d *dumper) receive(buf []byte) ([]byte, error) {
	for {
		n, from, err := unix.Recvfrom(d.fd, buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, err
		case fromKernel(from):
			return buf[:n], nil
		}
	}
}

// endsDump reports whether a part has the end of the dump with this number.
func endsDump(b []byte, seq uint32) (ends bool) {
	eachMessage(b, func(typ, _ uint16, of uint32, _ []byte) bool {
		ends = of == seq && (typ == unix.NLMSG_DONE || typ == unix.NLMSG_ERROR)
		return !ends
	})
	return ends
}

// failureOf is what the end of a dump says, nil for success.
func failureOf(body []byte) error {
	if len(body) >= 4 {
		if code := int32(binary.NativeEndian.Uint32(body)); code < 0 {
			return unix.Errno(-code)
		}
	}
	return nil
}
