// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// peer is a UDP socket of the kernel at the other end.
type peer struct {
	t    *testing.T
	conn *net.UDPConn
	addr netip.AddrPort
	six  bool
	echo bool
	done chan struct{}

	mu     sync.Mutex
	got    []packet
	change chan struct{}
}

// packet is a datagram that the kernel has delivered, with what the kernel says about it.
type packet struct {
	data     []byte
	from     netip.AddrPort
	tos, ttl int
}

// sending is how a peer sends. The zero value leaves everything to the kernel.
type sending struct {
	tos, ttl int
	segment  int // UDP_SEGMENT
}

// peerTTL is the TTL of echoes. It is nobody's default.
const peerTTL = 61

// newPeer listens on the address. With echo it sends each datagram back, with the same TOS.
func newPeer(t *testing.T, ns *testenv.Namespace, addr netip.AddrPort, echo bool) *peer {
	t.Helper()
	p := &peer{t: t, six: addr.Addr().Is6(), echo: echo, done: make(chan struct{}), change: make(chan struct{}, 1)}
	network := "udp4"
	if p.six {
		network = "udp6"
	}
	err := ns.Do(func() (err error) {
		p.conn, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.conn.Close()
		<-p.done
	})
	p.addr = p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	p.configure()
	go p.run()
	return p
}

func (p *peer) configure() {
	p.t.Helper()
	raw, err := p.conn.SyscallConn()
	if err != nil {
		p.t.Fatal(err)
	}
	options := [][2]int{{unix.IPPROTO_IP, unix.IP_RECVTOS}, {unix.IPPROTO_IP, unix.IP_RECVTTL}}
	if p.six {
		options = [][2]int{{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS}, {unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT}}
	}
	err = raw.Control(func(fd uintptr) {
		// The second option is capped, mostly at 208 KiB; it is used only if the first is not allowed.
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<20)
		}
		for _, o := range options {
			if err := unix.SetsockoptInt(int(fd), o[0], o[1], 1); err != nil {
				p.t.Error(err)
			}
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) run() {
	defer close(p.done)
	buf, oob := make([]byte, 65535), make([]byte, 256)
	for {
		n, oobn, _, from, err := p.conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			return // closed
		}
		got := packet{data: slices.Clone(buf[:n]), from: unmapped(from)}
		got.tos, got.ttl = parseArrival(oob[:oobn])
		if p.echo {
			p.send(got.from, got.data, sending{tos: got.tos, ttl: peerTTL})
		}
		p.mu.Lock()
		p.got = append(p.got, got)
		p.mu.Unlock()
		select {
		case p.change <- struct{}{}:
		default:
		}
	}
}

func parseArrival(oob []byte) (tos, ttl int) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1, -1
	}
	for _, m := range messages {
		switch [2]int32{m.Header.Level, m.Header.Type} {
		case [2]int32{unix.IPPROTO_IP, unix.IP_TOS}:
			tos = int(m.Data[0])
		case [2]int32{unix.IPPROTO_IPV6, unix.IPV6_TCLASS}:
			tos = int(binary.NativeEndian.Uint32(m.Data))
		case [2]int32{unix.IPPROTO_IP, unix.IP_TTL}, [2]int32{unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT}:
			ttl = int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	return tos, ttl
}

// send sends, also after the socket's end.
func (p *peer) send(to netip.AddrPort, data []byte, how sending) {
	var oob []byte
	if p.six {
		oob = appendControl(oob, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, uint32(how.tos))
	} else {
		oob = appendControl(oob, unix.IPPROTO_IP, unix.IP_TOS, uint32(how.tos))
	}
	if how.ttl != 0 && p.six {
		oob = appendControl(oob, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, uint32(how.ttl))
	} else if how.ttl != 0 {
		oob = appendControl(oob, unix.IPPROTO_IP, unix.IP_TTL, uint32(how.ttl))
	}
	if how.segment != 0 {
		oob = appendControl(oob, unix.IPPROTO_UDP, unix.UDP_SEGMENT, uint32(how.segment))
		binary.NativeEndian.PutUint64(oob[len(oob)-unix.CmsgSpace(2):], uint64(unix.CmsgLen(2))) // it is a u16
	}
	_, _, _ = p.conn.WriteMsgUDPAddrPort(data, oob, to)
}

// appendControl appends a control message of Linux that consists of an int.
func appendControl(b []byte, level, typ int, value uint32) []byte {
	m := make([]byte, unix.CmsgSpace(4))
	binary.NativeEndian.PutUint64(m, uint64(unix.CmsgLen(4)))
	binary.NativeEndian.PutUint32(m[8:], uint32(level))
	binary.NativeEndian.PutUint32(m[12:], uint32(typ))
	binary.NativeEndian.PutUint32(m[16:], value)
	return append(b, m...)
}

// wait takes the next n packets.
func (p *peer) wait(n int) []packet {
	p.t.Helper()
	ctx := testenv.Context(p.t, waitLimit)
	for {
		p.mu.Lock()
		if len(p.got) >= n {
			list := p.got[:n:n]
			p.got = p.got[n:]
			p.mu.Unlock()
			return list
		}
		have := len(p.got)
		p.mu.Unlock()
		select {
		case <-p.change:
		case <-ctx.Done():
			p.t.Fatalf("%d datagrams at the peer, want %d", have, n)
		}
	}
}

// left is the number of packets that have come and that nobody has waited for.
func (p *peer) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}
