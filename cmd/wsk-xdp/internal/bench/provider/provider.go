// SPDX-License-Identifier: Apache-2.0

// Package provider is a WSK provider over AF_XDP with bound sockets, as the parties of a measurement need one.
package provider

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// Provider is a datapath with a registered client. Its methods are for one goroutine.
type Provider struct {
	dp     *datapath.Datapath
	client *client.Client
}

// Open opens a datapath and registers a client with it.
func Open(o datapath.Options) (*Provider, error) {
	dp, err := datapath.Open(o)
	if err != nil {
		return nil, err
	}
	c, err := client.Open(dp, dp.Close)
	if err != nil {
		return nil, err
	}
	return &Provider{dp, c}, nil
}

// Socket makes a socket and binds it. With a callback, which gets socketContext, that is enabled.
func (p *Provider) Socket(local netip.AddrPort, event func(socketContext any, flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS,
	socketContext any,
) (*wsk.Socket, error) {
	ctx := context.Background()
	var dispatch *wsk.ClientDatagramDispatch
	if event != nil {
		dispatch = &wsk.ClientDatagramDispatch{ReceiveFromEvent: event}
	}
	socket, err := p.client.Socket(ctx, wsk.AF_INET, dispatch, socketContext)
	if err != nil {
		return nil, err
	}
	if err := client.Bind(ctx, socket, local); err != nil {
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
func (p *Provider) NPI() *wsk.ProviderNPI { return p.client.NPI() }

// Info is a snapshot of the datapath.
func (p *Provider) Info() datapath.Info { return p.dp.Info() }

// Close closes the sockets, waits for what is with the kernel for a bounded time, and ends the datapath.
func (p *Provider) Close() error { return p.client.Close(context.Background()) }
