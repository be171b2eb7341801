// SPDX-License-Identifier: Apache-2.0

package examples

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Transport is the transport of a memberlist node: its packets go through a UDP socket that is passed, its streams through
// TCP sockets of package net.
type Transport struct {
	packets net.PacketConn
	streams net.Listener
	dial    func(ctx context.Context, network, address string) (net.Conn, error)

	packetCh chan *memberlist.Packet
	streamCh chan net.Conn
	over     chan struct{}
	wg       sync.WaitGroup
}

// NewTransport makes a transport. packets and streams have the same address and port; dial is the DialContext of a
// net.Dialer. Shutdown closes both.
func NewTransport(packets net.PacketConn, streams net.Listener,
	dial func(ctx context.Context, network, address string) (net.Conn, error),
) *Transport {
	t := &Transport{
		packets: packets, streams: streams, dial: dial,
		packetCh: make(chan *memberlist.Packet), streamCh: make(chan net.Conn), over: make(chan struct{}),
	}
	t.wg.Go(t.read)
	t.wg.Go(t.accept)
	return t
}

func (t *Transport) read() {
	for {
		buf := make([]byte, 1<<16)
		n, from, err := t.packets.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue
		}
		select {
		case t.packetCh <- &memberlist.Packet{Buf: buf[:n], From: from, Timestamp: time.Now()}:
		case <-t.over:
			return
		}
	}
}

func (t *Transport) accept() {
	for {
		c, err := t.streams.Accept()
		if err != nil {
			return
		}
		select {
		case t.streamCh <- c:
		case <-t.over:
			_ = c.Close()
			return
		}
	}
}

// FinalAdvertiseAddr is the address of the socket.
func (t *Transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	a := t.packets.LocalAddr().(*net.UDPAddr)
	return a.IP, a.Port, nil
}

// WriteTo sends a packet.
func (t *Transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.packets.WriteTo(b, to)
	return time.Now(), err
}

// PacketCh has the packets that come.
func (t *Transport) PacketCh() <-chan *memberlist.Packet { return t.packetCh }

// DialTimeout opens a stream.
func (t *Transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return t.dial(ctx, "tcp", addr)
}

// StreamCh has the streams that others open.
func (t *Transport) StreamCh() <-chan net.Conn { return t.streamCh }

// Shutdown closes the sockets.
func (t *Transport) Shutdown() error {
	close(t.over)
	err := errors.Join(t.packets.Close(), t.streams.Close())
	t.wg.Wait()
	return err
}
