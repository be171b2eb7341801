// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const netlinkTimeout = 10 * time.Second

// netlinkExchange sends a request over a netlink protocol in the calling thread's network namespace and returns the
// messages of the answer, each without its netlink header. what names the request in errors.
//
// It has its own loop because the library's ends at the first message that is not marked as one of many, and some
// families do not mark the messages of a dump so.
func netlinkExchange(what string, protocol int, req *nl.NetlinkRequest) ([][]byte, error) {
	s, err := nl.Subscribe(protocol)
	if err != nil {
		return nil, fmt.Errorf("%s: open netlink: %w", what, err)
	}
	defer s.Close()
	timeout := unix.NsecToTimeval(netlinkTimeout.Nanoseconds())
	if err := errors.Join(s.SetSendTimeout(&timeout), s.SetReceiveTimeout(&timeout)); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if err := s.Send(req); err != nil {
		return nil, fmt.Errorf("%s: send: %w", what, err)
	}
	var out [][]byte
	for {
		msgs, from, err := s.Receive()
		if err != nil {
			return nil, fmt.Errorf("%s: receive: %w", what, err)
		}
		if from.Pid != nl.PidKernel {
			continue
		}
		var done bool
		if out, done, err = netlinkCollect(out, msgs, req.Seq); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		if done {
			return out, nil
		}
	}
}

// netlinkCollect adds the messages of one datagram and reports whether the answer is complete: a dump ends with
// NLMSG_DONE, anything else with an acknowledgement, an NLMSG_ERROR of 0.
func netlinkCollect(out [][]byte, msgs []syscall.NetlinkMessage, seq uint32) ([][]byte, bool, error) {
	for _, m := range msgs {
		if m.Header.Seq != seq {
			continue
		}
		switch m.Header.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(m.Data) >= 4 {
				if code := int32(binary.NativeEndian.Uint32(m.Data)); code < 0 {
					return nil, true, syscall.Errno(-code)
				}
			}
			return out, true, nil
		}
		out = append(out, m.Data)
	}
	return out, false, nil
}

// walkAttrs calls f for each netlink attribute. It has its own loop because the library's panics on a last attribute
// without its padding. what names the answer in errors.
func walkAttrs(what string, attrs []byte, f func(kind uint16, value []byte)) error {
	for b := attrs; len(b) >= unix.SizeofNlAttr; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofNlAttr || size > len(b) {
			return fmt.Errorf("%s: attribute of %d bytes in %d", what, size, len(b))
		}
		f(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofNlAttr:size])
		b = b[min(len(b), (size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
	}
	return nil
}
