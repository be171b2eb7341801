// SPDX-License-Identifier: Apache-2.0

// Package examples are programs of others that have moved to package wsknet by the line that opens their socket. It is a
// module of its own, so that what they need is not needed by what they use.
package examples

import (
	"context"
	"crypto/tls"
	"io"
	"net"

	"github.com/quic-go/quic-go"
)

// Sockets opens a UDP socket: net.ListenUDP before the move, and wsknet.ListenUDP after it.
type Sockets func(network string, laddr *net.UDPAddr) (net.PacketConn, error)

// ServeQUIC listens with open, and returns what each connection's first stream brings to where it came from. It ends
// with ctx.
func ServeQUIC(ctx context.Context, open Sockets, laddr *net.UDPAddr, conf *tls.Config, listening chan<- net.Addr) error {
	conn, err := open("udp", laddr)
	if err != nil {
		return err
	}
	defer conn.Close()
	transport := &quic.Transport{Conn: conn}
	defer transport.Close()
	listener, err := transport.Listen(conf, nil)
	if err != nil {
		return err
	}
	listening <- conn.LocalAddr()
	for {
		c, err := listener.Accept(ctx)
		if err != nil {
			return nil
		}
		go func() {
			stream, err := c.AcceptStream(ctx)
			if err != nil {
				return
			}
			_, _ = io.Copy(stream, stream)
			_ = stream.Close()
		}()
	}
}

// EchoQUIC sends what from brings to a server and gives to what comes back.
func EchoQUIC(ctx context.Context, open Sockets, to net.Addr, conf *tls.Config, from io.Reader, back io.Writer) error {
	conn, err := open("udp", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	transport := &quic.Transport{Conn: conn}
	defer transport.Close()
	c, err := transport.Dial(ctx, to, conf, nil)
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseWithError(0, "") }()
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(stream, from)
		if e := stream.Close(); err == nil {
			err = e
		}
		sent <- err
	}()
	if _, err := io.Copy(back, stream); err != nil {
		return err
	}
	return <-sent
}
