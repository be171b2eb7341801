// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"

	examples "github.com/wsk-xdp/wsk-xdp/docs/examples/netconn"
)

// Memberlist makes a cluster of four nodes, one on a and three on b, waits until they know each other, lets two of those
// on b and their addresses go, and returns how long it took until the one on a had noticed.
func Memberlist(ctx context.Context, a, b *End, addrs [3]netip.Addr) (took time.Duration, err error) {
	joins, leaves := make(chan string, 10), make(chan string, 10)
	first, err := node(a, a.Host.IPv4(), events{joins, leaves})
	if err != nil {
		return 0, err
	}
	defer first.Shutdown()
	var others [3]*memberlist.Memberlist
	for i, addr := range addrs {
		if err := b.Host.If.AddAddr(netip.PrefixFrom(addr, 24)); err != nil {
			return 0, err
		}
		if others[i], err = node(b, addr, nil); err != nil {
			return 0, err
		}
		defer others[i].Shutdown()
		if _, err := others[i].Join([]string{first.LocalNode().Address()}); err != nil {
			return 0, err
		}
	}
	if err := hear(ctx, joins, 4); err != nil { // its own, too
		return 0, err
	}
	begun := time.Now()
	for i := range 2 {
		if err := errors.Join(others[i].Shutdown(), b.Host.If.DeleteAddr(netip.PrefixFrom(addrs[i], 24))); err != nil {
			return 0, err
		}
		_ = a.Host.If.DeleteNeighbour(addrs[i]) // if it has gone already that is as well
	}
	err = hear(ctx, leaves, 2)
	return time.Since(begun), err
}

// hear waits for so many events.
func hear(ctx context.Context, of <-chan string, n int) error {
	var heard []string
	for len(heard) < n {
		select {
		case name := <-of:
			heard = append(heard, name)
		case <-ctx.Done():
			return fmt.Errorf("heard of %v, not of %d: %w", heard, n, ctx.Err())
		}
	}
	return nil
}

// node starts a node at an address of an end.
func node(e *End, addr netip.Addr, delegate memberlist.EventDelegate) (*memberlist.Memberlist, error) {
	streams, err := do(e.Host, func() (net.Listener, error) { return net.Listen("tcp", netip.AddrPortFrom(addr, 0).String()) })
	if err != nil {
		return nil, err
	}
	packets, err := e.ListenUDP("udp", net.UDPAddrFromAddrPort(streams.Addr().(*net.TCPAddr).AddrPort()))
	if err != nil {
		return nil, errors.Join(err, streams.Close())
	}
	config := memberlist.DefaultLANConfig()
	config.Name, config.Events, config.LogOutput = addr.String(), delegate, io.Discard
	config.Transport = examples.NewTransport(packets, streams, e.Dial)
	config.ProbeInterval, config.ProbeTimeout, config.SuspicionMult = 200*time.Millisecond, 100*time.Millisecond, 2
	return memberlist.Create(config)
}

// events passes names on.
type events struct{ joins, leaves chan<- string }

func (e events) NotifyJoin(n *memberlist.Node)  { e.joins <- n.Name }
func (e events) NotifyLeave(n *memberlist.Node) { e.leaves <- n.Name }
func (e events) NotifyUpdate(*memberlist.Node)  {}
