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
	conn, err := b.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- examples.ServeDNS(serving, conn, examples.AddressOf(answer)) }()
	if begin != nil {
		begin()
	}
	var asking sync.WaitGroup
	errs := make([]error, sockets)
	for i := range errs {
		asking.Go(func() {
			for _, addr := range at {
				errs[i] = errors.Join(errs[i], ask(ctx, a, netip.AddrPortFrom(addr, port), times))
			}
		})
	}
	asking.Wait()
	stop()
	return errors.Join(append(errs, <-served)...)
}

// ask asks a server so many times over one socket that is connected to it.
func ask(ctx context.Context, a *End, server netip.AddrPort, times int) error {
	conn, err := a.Dial(ctx, "udp", server.String())
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
