// SPDX-License-Identifier: Apache-2.0

// Package trial runs the programs of package examples between two network namespaces, with the sockets of package net or
// of package wsknet at either end. Tests look whether they do what they should; ../compare looks how well.
package trial

import (
	"context"
	"net"

	"golang.zx2c4.com/wireguard/conn"

	examples "github.com/wsk-xdp/wsk-xdp/docs/examples/netconn"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/netconn"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsknet"
)

// Kind is where sockets come from.
type Kind uint8

const (
	// Net is package net: the kernel's sockets.
	Net Kind = iota
	// Line is package wsknet by the line that moves a program: the functions of the package.
	Line
	// Stack is a stack of wsknet with ReplyFromDestination.
	Stack
	// XDP is Stack which receives through AF_XDP, too.
	XDP
)

func (k Kind) String() string {
	return [...]string{"net", "wsknet", "stack", "stack that receives through AF_XDP"}[k]
}

// End opens sockets of one kind on a host.
type End struct {
	Kind  Kind
	Host  *testenv.Host
	stack *wsknet.Stack
}

// At makes an end. Closing it closes the sockets of a stack.
func At(host *testenv.Host, kind Kind) (*End, error) {
	e := &End{Kind: kind, Host: host}
	if kind != Stack && kind != XDP {
		return e, nil
	}
	opts := wsknet.Options{
		Datapath: datapath.Options{NetNS: host.NS.FD()}, Conn: netconn.Options{ReplyFromDestination: true},
	}
	if kind == XDP {
		opts.Datapath.Receive = []string{host.If.Name()}
	}
	var err error
	e.stack, err = wsknet.Open(opts)
	return e, err
}

// Close closes the stack, if the end has one.
func (e *End) Close() error {
	if e.stack == nil {
		return nil
	}
	return e.stack.Close()
}

// ListenUDP has the results of net.ListenUDP as an interface. It is an examples.Sockets.
func (e *End) ListenUDP(network string, laddr *net.UDPAddr) (net.PacketConn, error) {
	if e.Kind != Net {
		return e.listenWSK(network, laddr)
	}
	return do(e.Host, func() (net.PacketConn, error) { return net.ListenUDP(network, laddr) })
}

func (e *End) listenWSK(network string, laddr *net.UDPAddr) (*wsknet.UDPConn, error) {
	if e.stack != nil {
		return e.stack.ListenUDP(network, laddr)
	}
	return do(e.Host, func() (*wsknet.UDPConn, error) { return wsknet.ListenUDP(network, laddr) })
}

// Dial is the method DialContext of a net.Dialer: TCP of the kernel, UDP of the end's kind.
func (e *End) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch {
	case e.Kind == Net || network == "tcp":
		return do(e.Host, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, address) })
	case e.stack != nil:
		return e.stack.DialContext(ctx, network, address)
	}
	return do(e.Host, func() (net.Conn, error) { return wsknet.DialContext(ctx, network, address) })
}

// Bind is what wireguard-go sends and receives through.
func (e *End) Bind() conn.Bind {
	if e.Kind != Net {
		return &examples.Bind{Listen: e.listenWSK}
	}
	return kernelBind{conn.NewStdNetBind(), e.Host}
}

// kernelBind opens the sockets of wireguard-go's own Bind on a host.
type kernelBind struct {
	conn.Bind
	host *testenv.Host
}

func (b kernelBind) Open(port uint16) (fns []conn.ReceiveFunc, actual uint16, err error) {
	err = b.host.NS.Do(func() (err error) {
		fns, actual, err = b.Bind.Open(port)
		return err
	})
	return fns, actual, err
}

// do calls f in the network namespace of a host.
func do[T any](host *testenv.Host, f func() (T, error)) (v T, err error) {
	err = host.NS.Do(func() (err error) {
		v, err = f()
		return err
	})
	return v, err
}

// Address is the host's first IPv4 address.
func (e *End) Address() *net.UDPAddr { return &net.UDPAddr{IP: e.Host.IPv4().AsSlice()} }
