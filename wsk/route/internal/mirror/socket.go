// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A million routes are 60 MB of messages: they are read into one buffer and looked at there, where a library would
// allocate each.

const (
	headerLen   = unix.SizeofNlMsghdr
	receiveSize = 128 << 10 // the kernel fills at most 32 KiB of it in a dump; an event is never this long
	dumpTimeout = 5 * time.Second
	dumpTries   = 10
)

// eachMessage calls fn for each message of b; the body aliases b. false: fn has said that it is enough, or what follows
// is malformed.
func eachMessage(b []byte, fn func(typ, flags uint16, seq uint32, body []byte) bool) bool {
	for len(b) >= headerLen {
		n := int(binary.NativeEndian.Uint32(b))
		if n < headerLen || n > len(b) {
			return false
		}
		e := binary.NativeEndian
		if !fn(e.Uint16(b[4:]), e.Uint16(b[6:]), e.Uint32(b[8:]), b[headerLen:n]) {
			return false
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return true
}

// dumper is a socket for dumps. Of one goroutine.
type dumper struct {
	fd  int
	seq uint32
	buf []byte
	// buffers are those of a dump that is read ahead.
	buffers [][]byte
	done    <-chan struct{} // closed: a dump that is under way is given up
	// between is called after each part of a dump of this table.
	between func(table uint16)
}

// newDumper must run in the namespace.
func newDumper(done <-chan struct{}) (*dumper, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket for dumps: %w", err)
	}
	tv := unix.NsecToTimeval(int64(dumpTimeout))
	// Without strict checks a dump of routes can't be told from one of what the kernel has learned.
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("prepare netlink socket for dumps: %w", err)
	}
	return &dumper{fd: fd, buf: make([]byte, receiveSize), done: done, between: func(uint16) {}}, nil
}

func (d *dumper) close() { unix.Close(d.fd) }

var errInterrupted = errors.New("the table has changed meanwhile")

// dump calls fn for each message of a table, from the beginning again after reset when the kernel says that the table
// has changed meanwhile.
func (d *dumper) dump(typ uint16, body []byte, reset func(), fn func(body []byte)) (err error) {
	for range dumpTries {
		reset()
		if err = d.once(typ, body, fn); err == nil {
			return nil
		}
		if !errors.Is(err, errInterrupted) && !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	return fmt.Errorf("dump netlink table %d: %w", typ, err)
}

func (d *dumper) once(typ uint16, body []byte, fn func(body []byte)) error {
	d.seq++
	request := binary.NativeEndian.AppendUint32(nil, uint32(headerLen+len(body)))
	request = binary.NativeEndian.AppendUint16(request, typ)
	request = binary.NativeEndian.AppendUint16(request, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	request = binary.NativeEndian.AppendUint32(request, d.seq)
	request = append(binary.NativeEndian.AppendUint32(request, 0), body...)
	if err := unix.Sendto(d.fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	from := d.partsOf(typ)
	defer from.end()
	interrupted, done, failure := false, false, error(nil)
	for !done {
		select {
		case <-d.done:
			return os.ErrClosed
		default:
		}
		b, err := from.next()
		if err != nil {
			return err
		}
		eachMessage(b, func(typ, flags uint16, seq uint32, body []byte) bool {
			if seq != d.seq {
				return true // the rest of a dump that was given up
			}
			interrupted = interrupted || flags&unix.NLM_F_DUMP_INTR != 0
			switch typ {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				done, failure = true, failureOf(body)
				return false
			default:
				fn(body)
			}
			return true
		})
		d.between(typ)
	}
	if failure == nil && interrupted {
		return errInterrupted
	}
	return failure
}

// eventGroups: one socket for all keeps the kernel's order.
var eventGroups = []int{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH,
	unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV4_NETCONF,
	unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV6_NETCONF,
	unix.RTNLGRP_IPV6_IFINFO, unix.RTNLGRP_NEXTHOP,
}

// events is the socket of the subscription.
type events struct {
	file *os.File
	raw  syscall.RawConn
	buf  []byte
}

// subscribe must run in the namespace.
func subscribe(buffer int) (*events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket for events: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	err = errors.Join(err, unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	for _, group := range eventGroups {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to netlink events: %w", err)
	}
	e := &events{file: os.NewFile(uintptr(fd), "netlink events"), buf: make([]byte, receiveSize)}
	if e.raw, err = e.file.SyscallConn(); err != nil {
		e.file.Close()
		return nil, fmt.Errorf("subscribe to netlink events: %w", err)
	}
	return e, nil
}

// receive is one message or several, good until the next call; wait is false when it shall fail with EAGAIN instead of
// waiting.
func (e *events) receive(wait bool) (b []byte, err error) {
	n, from := 0, unix.Sockaddr(nil)
	closed := e.raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), e.buf, unix.MSG_TRUNC)
		return !wait || !errors.Is(err, unix.EAGAIN)
	})
	switch {
	case closed != nil:
		return nil, os.ErrClosed
	case err != nil:
		return nil, err
	case n > len(e.buf):
		return nil, unix.ENOBUFS
	}
	if !fromKernel(from) {
		return nil, nil
	}
	return e.buf[:n], nil
}

// fromKernel: other processes can send to our port, too.
func fromKernel(from unix.Sockaddr) bool {
	k, ok := from.(*unix.SockaddrNetlink)
	return ok && k.Pid == 0
}

func (e *events) close() { e.file.Close() }
