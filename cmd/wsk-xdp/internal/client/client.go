// SPDX-License-Identifier: Apache-2.0

// Package client is a WSK client as the commands and the benchmarks need one: what the load and unload routines of a
// driver do, and the calls in between with the wait for each.
//
//	Open: Attach, WskRegister, WskCaptureProviderNPI ──► Socket, Bind, … ──►
//	Close: WskCloseSocket, WskReleaseProviderNPI, WskDeregister, Detach, the end of the transport
package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// callTimeout bounds a call that needs nobody on the network; closeTimeout the wait for what is with the kernel, after
// which the transport is ended, which ends everything.
const (
	callTimeout  = 10 * time.Second
	closeTimeout = 3 * time.Second
)

// Client is registered with a transport. Its methods are for one goroutine; the sockets are as concurrent as wsk.Socket
// is.
type Client struct {
	end          func() error
	subsystem    wsk.Subsystem
	registration wsk.Registration
	registered   bool
	captured     bool
	npi          wsk.ProviderNPI
	sockets      []*wsk.Socket
}

// Open registers a client with a transport of its own. end ends the transport: Close calls it, and so does Open when it
// fails. It may be called twice.
func Open(transport wsk.Transport, end func() error) (_ *Client, err error) {
	c := &Client{end: end}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close(context.Background()))
		}
	}()
	if status := c.subsystem.Attach(transport, wsk.ProviderOptions{}); status != wsk.STATUS_SUCCESS {
		return nil, fmt.Errorf("attach transport: %w", status)
	}
	client := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	if status := c.subsystem.Register(client, &c.registration); status != wsk.STATUS_SUCCESS {
		return nil, fmt.Errorf("WskRegister: %w", status)
	}
	c.registered = true
	if status := wsk.CaptureProviderNPI(&c.registration, wsk.WSK_NO_WAIT, &c.npi); status != wsk.STATUS_SUCCESS {
		return nil, fmt.Errorf("WskCaptureProviderNPI: %w", status)
	}
	c.captured = true
	return c, nil
}

// NPI is what was captured, for package netconn. It is good until Close.
func (c *Client) NPI() *wsk.ProviderNPI { return &c.npi }

// Sockets are those that Socket has made, in that order. Do not change the slice.
func (c *Client) Sockets() []*wsk.Socket { return c.sockets }

// Socket makes a datagram socket of the family. dispatch, which may be nil, and socketContext are those of WskSocket.
// The socket is closed by Close.
func (c *Client) Socket(ctx context.Context, family uint16, dispatch *wsk.ClientDatagramDispatch, socketContext any) (*wsk.Socket, error) {
	irp, err := Call(ctx, "WskSocket", func(irp *wsk.IRP) {
		c.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, socketContext, dispatch, nil, nil, nil, irp)
	})
	if err != nil {
		return nil, err
	}
	socket := irp.IoStatus.Socket
	c.sockets = append(c.sockets, socket)
	return socket, nil
}

// Bind binds a socket.
func Bind(ctx context.Context, socket *wsk.Socket, local netip.AddrPort) error {
	_, err := Call(ctx, "WskBind "+local.String(), func(irp *wsk.IRP) { socket.Bind(wsk.NewSockaddr(local), 0, irp) })
	return err
}

// LocalAddress is what a socket is bound to.
func LocalAddress(ctx context.Context, socket *wsk.Socket) (netip.AddrPort, error) {
	sa := make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6)
	if _, err := Call(ctx, "WskGetLocalAddress", func(irp *wsk.IRP) { socket.GetLocalAddress(sa, irp) }); err != nil {
		return netip.AddrPort{}, err
	}
	ap, _ := sa.AddrPort()
	return ap, nil
}

// SetOption sets an option whose value is a ULONG.
func SetOption(ctx context.Context, socket *wsk.Socket, level, option, value uint32) error {
	input := binary.LittleEndian.AppendUint32(nil, value)
	_, err := Call(ctx, fmt.Sprintf("WskControlSocket level %#x option %#x", level, option), func(irp *wsk.IRP) {
		socket.ControlSocket(wsk.WskSetOption, option, level, input, nil, nil, irp)
	})
	return err
}

// EnableReceiveFrom lets the socket's ReceiveFromEvent callback be called.
func EnableReceiveFrom(ctx context.Context, socket *wsk.Socket) error {
	control := wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM)
	_, err := Call(ctx, "WskControlSocket SO_WSK_EVENT_CALLBACK", func(irp *wsk.IRP) {
		socket.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET, control, nil, nil, irp)
	})
	return err
}

// Call begins a call with a fresh IRP and waits until that is complete, for callTimeout at most. The error says what
// failed.
func Call(ctx context.Context, what string, begin func(*wsk.IRP)) (*wsk.IRP, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	irp := wsk.AllocateIRP()
	begin(irp)
	if err := irp.Wait(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if err := irp.IoStatus.Status.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return irp, nil
}

// Close closes the sockets, waits for what is with the kernel for a bounded time, and then ends the transport. ctx is
// used for its values only: closing goes on after an interrupt.
func (c *Client) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	irps := make([]wsk.IRP, len(c.sockets))
	for i, socket := range c.sockets {
		socket.Close(&irps[i])
	}
	var stuck bool
	for i := range irps {
		stuck = irps[i].Wait(ctx) != nil || stuck
	}
	var err error
	if stuck {
		err = errors.New("close: the kernel did not give every frame back in time; the datapath was ended all the same")
		err = errors.Join(err, c.end())
	}
	c.sockets = nil
	if c.captured {
		wsk.ReleaseProviderNPI(&c.registration)
		c.captured = false
	}
	if c.registered {
		wsk.Deregister(&c.registration)
		c.registered = false
	}
	c.subsystem.Detach()
	return errors.Join(err, c.end())
}
