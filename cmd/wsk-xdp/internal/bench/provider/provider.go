// SPDX-License-Identifier: Apache-2.0

// Package provider is a WSK provider over AF_XDP with bound sockets, as the parties of a measurement need one.
package provider

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// Provider is a datapath with a registered client. Its methods are for one goroutine.
type Provider struct {
	dp           *datapath.Datapath
	subsystem    wsk.Subsystem
	registration wsk.Registration
	registered   bool
	captured     bool
	npi          wsk.ProviderNPI
	sockets      []*wsk.Socket
}

// callTimeout bounds calls that need nobody on the network, closeTimeout the wait for what is with the kernel.
const (
	callTimeout  = 10 * time.Second
	closeTimeout = 3 * time.Second
)

// Open opens a datapath and registers a client with it.
func Open(o datapath.Options) (_ *Provider, err error) {
	p := new(Provider)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.dp, err = datapath.Open(o); err != nil {
		return nil, err
	}
	if status := p.subsystem.Attach(p.dp, wsk.ProviderOptions{}); status != wsk.STATUS_SUCCESS {
		return nil, fmt.Errorf("attach transport: %w", status)
	}
	client := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	if status := p.subsystem.Register(client, &p.registration); status != wsk.STATUS_SUCCESS {
		return nil, fmt.Errorf("WskRegister: %w", status)
	}
	p.registered = true
	if status := wsk.CaptureProviderNPI(&p.registration, wsk.WSK_NO_WAIT, &p.npi); status != wsk.STATUS_SUCCESS {
		return nil, fmt.Errorf("WskCaptureProviderNPI: %w", status)
	}
	p.captured = true
	return p, nil
}

// Socket makes a socket and binds it. With a callback, which gets socketContext, that is enabled.
func (p *Provider) Socket(local netip.AddrPort, event func(socketContext any, flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS,
	socketContext any,
) (*wsk.Socket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	irp := wsk.AllocateIRP()
	do := func(what string) error {
		if err := irp.Wait(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := irp.IoStatus.Status.Err(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	var dispatch *wsk.ClientDatagramDispatch
	if event != nil {
		dispatch = &wsk.ClientDatagramDispatch{ReceiveFromEvent: event}
	}
	p.npi.Socket(wsk.AF_INET, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, socketContext, dispatch, nil, nil, nil, irp)
	if err := do("WskSocket"); err != nil {
		return nil, err
	}
	socket := irp.IoStatus.Socket
	p.sockets = append(p.sockets, socket)
	irp.Reuse(wsk.STATUS_SUCCESS)
	socket.Bind(wsk.NewSockaddr(local), 0, irp)
	if err := do("WskBind " + local.String()); err != nil {
		return nil, err
	}
	if event != nil {
		if status := socket.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET,
			wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM), nil, nil, nil); status != wsk.STATUS_SUCCESS {
			return nil, fmt.Errorf("enable the event callback: %w", status)
		}
	}
	return socket, nil
}

// NPI is what a client captured, for package netconn. It is good until Close.
func (p *Provider) NPI() *wsk.ProviderNPI { return &p.npi }

// Info is a snapshot of the datapath.
func (p *Provider) Info() datapath.Info { return p.dp.Info() }

// Close closes the sockets, waits for what is with the kernel for a bounded time, and ends the datapath.
func (p *Provider) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	irps := make([]wsk.IRP, len(p.sockets))
	for i, socket := range p.sockets {
		socket.Close(&irps[i])
	}
	var err error
	for i := range irps {
		if irps[i].Wait(ctx) != nil && err == nil {
			err = errors.New("close: the kernel did not give every frame back in time; the datapath was ended all the same")
			err = errors.Join(err, p.dp.Close())
		}
	}
	p.sockets = nil
	if p.captured {
		wsk.ReleaseProviderNPI(&p.registration)
	}
	if p.registered {
		wsk.Deregister(&p.registration)
	}
	p.subsystem.Detach()
	if p.dp != nil {
		err = errors.Join(err, p.dp.Close())
	}
	return err
}
