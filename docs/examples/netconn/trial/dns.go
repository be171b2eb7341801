// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	examples "github.com/wsk-xdp/wsk-xdp/docs/examples/netconn"
)

// answer is what the DNS server says about every name.
var answer = netip.MustParseAddr("192.0.2.33")

// DNS runs a server on b, on a wildcard, and has a ask it at each of the addresses, so many times from so many sockets at
// once. It calls begin, unless that is nil, when the server is there.
func DNS(ctx context.Context, a, b *End, at []netip.Addr, sockets, times int, begin func()) error {
	return ServeDNS(ctx, b, func(port uint16) error {
		if begin != nil {
			begin()
		}
		return askAll(a.Dial, sockets, func(conn dial) error {
			for _, addr := range at {
				if err := ask(ctx, conn, netip.AddrPortFrom(addr, port), times); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// ServeDNS runs a server on b, on a wildcard, until asked returns.
func ServeDNS(ctx context.Context, b *End, asked func(port uint16) error) error {
	conn, err := b.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- examples.ServeDNS(serving, conn, examples.AddressOf(answer)) }()
	err = asked(conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	stop()
	return errors.Join(err, <-served)
}

// AskDNS asks a server so many times from so many sockets of package net at once.
func AskDNS(ctx context.Context, server netip.AddrPort, sockets, times int) error {
	return askAll(new(net.Dialer).DialContext, sockets, func(conn dial) error { return ask(ctx, conn, server, times) })
}

// dial opens a socket to a server, as the method DialContext of a net.Dialer does.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// askAll has so many ask at once.
func askAll(conn dial, sockets int, one func(dial) error) error {
	var asking sync.WaitGroup
	errs := make([]error, sockets)
	for i := range errs {
		asking.Go(func() { errs[i] = one(conn) })
	}
	asking.Wait()
	return errors.Join(errs...)
}

// ask asks a server so many times over one socket that is connected to it.
func ask(ctx context.Context, open dial, server netip.AddrPort, times int) error {
	conn, err := open(ctx, "udp", server.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for range times {
		got, err := examples.AskDNS(ctx, conn, "host.example.")
		if err != nil {
			return err
		}
		if len(got) != 1 || got[0] != answer {
			return fmt.Errorf("%v answers %v", server, got)
		}
	}
	return nil
}
