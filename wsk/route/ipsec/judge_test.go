// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipsec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const patience = 10 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made is a policy to be made.
type made struct {
	direction      Direction
	src, dst       string // prefixes; empty: all of the family of the other, or of IPv4
	sport, dport   uint16
	protocol       uint8
	index          int
	priority       uint32
	block          bool
	transform      bool
	optional       bool
	sub            bool
	mark, markMask uint32
	interfaceID    uint32
}

func (m made) prefixes() (src, dst netip.Prefix) {
	one := func(s, other string) netip.Prefix {
		switch {
		case s != "":
			return netip.MustParsePrefix(s)
		case other != "" && netip.MustParsePrefix(other).Addr().Is6():
			return netip.MustParsePrefix("::/0")
		}
		return netip.MustParsePrefix("0.0.0.0/0")
	}
	return one(m.src, m.dst), one(m.dst, m.src)
}

// body is the struct xfrm_userpolicy_info with its attributes.
func (m made) body() []byte {
	src, dst := m.prefixes()
	b := make([]byte, policyLen)
	copy(b, dst.Addr().AsSlice())
	copy(b[16:], src.Addr().AsSlice())
	port := func(at int, p uint16) {
		if p != 0 {
			binary.BigEndian.PutUint16(b[at:], p)
			binary.BigEndian.PutUint16(b[at+2:], 0xffff)
		}
	}
	port(32, m.dport)
	port(36, m.sport)
	family := uint16(unix.AF_INET)
	if dst.Addr().Is6() {
		family = unix.AF_INET6
	}
	ne := binary.NativeEndian
	ne.PutUint16(b[40:], family)
	b[42], b[43], b[44] = uint8(dst.Bits()), uint8(src.Bits()), m.protocol
	ne.PutUint32(b[48:], uint32(m.index))
	for at := selectorLen; at < selectorLen+32; at += 8 { // limits of bytes and packets: none
		ne.PutUint64(b[at:], ^uint64(0))
	}
	ne.PutUint32(b[priorityAt:], m.priority)
	b[directionAt] = uint8(m.direction)
	if m.block {
		b[actionAt] = actionBlock
	}
	attr := func(typ int, v []byte) { b = append(b, nl.NewRtAttr(typ, v).Serialize()...) }
	if m.transform {
		t := make([]byte, templateLen)
		t[20] = unix.IPPROTO_ESP
		ne.PutUint16(t[24:], family)
		if m.optional {
			t[templateOptional] = 1
		}
		for at := 52; at < templateLen; at += 4 {
			ne.PutUint32(t[at:], ^uint32(0))
		}
		attr(nl.XFRMA_TMPL, t)
	}
	if m.sub {
		attr(nl.XFRMA_POLICY_TYPE, []byte{typeSub, 0, 0, 0, 0, 0}) // struct xfrm_userpolicy_type
	}
	if m.markMask != 0 {
		attr(nl.XFRMA_MARK, ne.AppendUint32(ne.AppendUint32(nil, m.mark), m.markMask))
	}
	if m.interfaceID != 0 {
		attr(nl.XFRMA_IF_ID, ne.AppendUint32(nil, m.interfaceID))
	}
	return b
}

// request sends one XFRM message in a namespace.
func request(t *testing.T, ns *testenv.Namespace, typ int, body []byte) {
	t.Helper()
	must(t, ns.Do(func() error {
		s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_XFRM)
		if err != nil {
			return err
		}
		h := &nl.SocketHandle{Socket: s}
		defer h.Close()
		req := nl.NewNetlinkRequest(typ, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
		req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_XFRM: h}
		req.AddRawData(body)
		if _, err = req.Execute(unix.NETLINK_XFRM, 0); err != nil {
			return fmt.Errorf("message %#x: %w", typ, err)
		}
		return nil
	}))
}

func watch(t *testing.T, ns *testenv.Namespace, changed func()) *Watcher {
	t.Helper()
	var w *Watcher
	must(t, ns.Do(func() (err error) {
		w, err = Watch(slog.New(slog.NewTextHandler(os.Stderr, nil)), false, changed)
		return err
	}))
	t.Cleanup(w.Close)
	return w
}

// world is two hosts. A has the policies.
type world struct {
	t    *testing.T
	lab  *testenv.Lab
	tap  *testenv.Capture // at B
	sent int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static})
	return &world{t: t, lab: lab, tap: testenv.NewCaptureT(t, lab.B.If, testenv.CaptureOptions{IncomingOnly: true})}
}

// socket is a UDP socket in a namespace, bound to a port.
func (w *world) socket(ns *testenv.Namespace, is6 bool, port uint16, mark uint32) int {
	w.t.Helper()
	family := unix.AF_INET
	var local unix.Sockaddr = &unix.SockaddrInet4{Port: int(port)}
	if is6 {
		family, local = unix.AF_INET6, &unix.SockaddrInet6{Port: int(port)}
	}
	fd, err := ns.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	must(w.t, err)
	w.t.Cleanup(func() { unix.Close(fd) })
	if mark != 0 {
		must(w.t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)))
	}
	must(w.t, unix.Bind(fd, local))
	return fd
}

func sockaddr(ip netip.Addr, port uint16) unix.Sockaddr {
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(port), Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Port: int(port), Addr: ip.As16()}
}

// leaves tells what the kernel does with a datagram that A sends.
func (w *world) leaves(f Flow) Verdict {
	w.t.Helper()
	w.sent++
	text := fmt.Appendf(nil, "out %d;", w.sent)
	fd := w.socket(w.lab.A.NS, f.Dst.Is6(), f.SrcPort, f.Mark)
	defer unix.Close(fd)
	err := unix.Sendto(fd, text, 0, sockaddr(f.Dst, f.DstPort))
	if err == unix.EPERM {
		return Block
	}
	if w.seen(text) {
		return None
	}
	return Transform
}

// seen reports whether a datagram has come to B in clear: before one that no policy selects, sent after it the same way.
func (w *world) seen(text []byte) bool {
	w.t.Helper()
	mark := fmt.Appendf(nil, "mark %d;", w.sent)
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5}, mark...)
	must(w.t, w.lab.A.If.SendFrame(frame))
	if _, err := w.tap.Wait(testenv.Context(w.t, patience), func(f testenv.Frame) bool { return bytes.Contains(f.Data, mark) }); err != nil {
		w.t.Fatal(err)
	}
	for _, f := range w.tap.Frames() {
		if bytes.Contains(f.Data, text) {
			return true
		}
	}
	return false
}

// arrives tells whether the kernel delivers to a socket of A what B sends.
func (w *world) arrives(f Flow) bool {
	w.t.Helper()
	w.sent++
	receiver := w.socket(w.lab.A.NS, f.Dst.Is6(), f.DstPort, 0)
	defer unix.Close(receiver)
	sender := w.socket(w.lab.B.NS, f.Dst.Is6(), f.SrcPort, 0)
	defer unix.Close(sender)
	// A packet socket at A sees the frame whatever the policies say: then it has been dealt with, or will be on this thread.
	tap := testenv.NewCaptureT(w.t, w.lab.A.If, testenv.CaptureOptions{IncomingOnly: true})
	text := fmt.Appendf(nil, "in %d;", w.sent)
	must(w.t, unix.Sendto(sender, text, 0, sockaddr(f.Dst, f.DstPort)))
	if _, err := tap.Wait(testenv.Context(w.t, patience), func(f testenv.Frame) bool { return bytes.Contains(f.Data, text) }); err != nil {
		w.t.Fatal(err)
	}
	// Delivery follows the tap in the same softirq; a second datagram to a port that no policy names comes after it.
	deadline := time.Now().Add(50 * time.Millisecond)
	buf := make([]byte, 64)
	for {
		n, _, err := unix.Recvfrom(receiver, buf, 0)
		if err == nil && bytes.Equal(buf[:n], text) {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(receiver), Events: unix.POLLIN}}, 10)
	}
}
