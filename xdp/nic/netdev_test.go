// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetdevParsing(t *testing.T) {
	for _, msg := range [][]byte{nil, {1}, {1, 2, 3}, {10, 1, 0, 0, 200, 0, 1, 0}, {10, 1, 0, 0, 2, 0, 1, 0}} {
		if _, err := parseQueue(msg); err == nil {
			t.Errorf("%x parsed", msg)
		}
	}
	q, err := parseQueue([]byte{10, 1, 0, 0, 8, 0, 1, 0, 5, 0, 0, 0, 8, 0, 3, 0, 1, 0, 0, 0, 4, 0, 7, 0})
	if err != nil || q != (NetdevQueue{5, true, true}) {
		t.Errorf("%+v, %v", q, err)
	}
	if got := (XDPFeatures(1 | 1<<3 | 1<<40)).String(); got != "basic xsk-zerocopy bit-40" {
		t.Errorf("features %q", got)
	}
	if got := XSKFeatures(0).String(); got != "none" {
		t.Errorf("features %q", got)
	}
}

func TestNetlinkCollect(t *testing.T) {
	msg := func(kind uint16, seq uint32, data ...byte) syscall.NetlinkMessage {
		return syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind, Seq: seq}, Data: data}
	}
	eperm := []byte{0xff, 0xff, 0xff, 0xff} // −1
	for _, c := range []struct {
		name string
		msgs []syscall.NetlinkMessage
		n    int
		done bool
		err  error
	}{
		{"part of a dump", []syscall.NetlinkMessage{msg(30, 7, 1), msg(30, 7, 2)}, 2, false, nil},
		{"end of a dump", []syscall.NetlinkMessage{msg(30, 7, 1), msg(unix.NLMSG_DONE, 7, 0, 0, 0, 0)}, 1, true, nil},
		{"bare end", []syscall.NetlinkMessage{msg(unix.NLMSG_DONE, 7)}, 0, true, nil},
		{"dump that failed at its end", []syscall.NetlinkMessage{msg(30, 7, 1), msg(unix.NLMSG_DONE, 7,
			eperm...)}, 0, true, unix.EPERM},
		{"acknowledged", []syscall.NetlinkMessage{msg(30, 7, 1), msg(unix.NLMSG_ERROR, 7, 0, 0, 0, 0)}, 1, true, nil},
		{"refused", []syscall.NetlinkMessage{msg(unix.NLMSG_ERROR, 7, eperm...)}, 0, true, unix.EPERM},
		{"somebody else's", []syscall.NetlinkMessage{msg(unix.NLMSG_ERROR, 6, eperm...), msg(30, 8, 1)}, 0, false, nil},
	} {
		out, done, err := netlinkCollect(nil, c.msgs, 7)
		if len(out) != c.n || done != c.done || !errors.Is(err, c.err) {
			t.Errorf("%s: %d messages, done %v, %v", c.name, len(out), done, err)
		}
	}
}

// FuzzNetdev: an answer of any bytes is parsed or refused.
func FuzzNetdev(f *testing.F) {
	f.Add([]byte{10, 1, 0, 0, 8, 0, 1, 0, 5, 0, 0, 0, 8, 0, 3, 0, 1, 0, 0, 0, 4, 0, 7, 0})
	f.Add([]byte{1, 1, 0, 0, 12, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, msg []byte) {
		_, _ = parseQueue(msg)
		_, _ = parseDevice(msg)
	})
}
