// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// callLimit bounds what takes milliseconds.
const callLimit = 10 * time.Second

// provider is a datapath with a registered client.
type provider struct {
	dp        *datapath.Datapath
	subsystem wsk.Subsystem
	reg       wsk.Registration
	npi       wsk.ProviderNPI
	sockets   []*wsk.Socket
	closed    bool
}

func openProvider(o datapath.Options) (*provider, error) {
	p := new(provider)
	var err error
	if p.dp, err = datapath.Open(o); err != nil {
		return nil, err
	}
	client := &wsk.ClientNPI{Dispatch: &wsk.ClientDispatch{Version: wsk.MakeVersion(1, 0)}}
	for _, step := range []func() wsk.NTSTATUS{
		func() wsk.NTSTATUS { return p.subsystem.Attach(p.dp, wsk.ProviderOptions{}) },
		func() wsk.NTSTATUS { return p.subsystem.Register(client, &p.reg) },
		func() wsk.NTSTATUS { return wsk.CaptureProviderNPI(&p.reg, wsk.WSK_NO_WAIT, &p.npi) },
	} {
		if status := step(); status != wsk.STATUS_SUCCESS {
			return nil, errors.Join(fmt.Errorf("register: %w", status), p.dp.Close())
		}
	}
	return p, nil
}

// await waits for an IRP.
func await(what string, irp *wsk.IRP) error {
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(callLimit))
	defer cancel()
	if err := irp.Wait(ctx); err != nil {
		return fmt.Errorf("%s is pending for %v", what, testenv.Patience(callLimit))
	}
	if err := irp.IoStatus.Status.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// open makes a socket and binds it; with a dispatch, whose callback is enabled.
func (p *provider) open(local netip.AddrPort, dispatch *wsk.ClientDatagramDispatch) (*wsk.Socket, error) {
	family := uint16(wsk.AF_INET)
	if local.Addr().Is6() {
		family = wsk.AF_INET6
	}
	irp := wsk.AllocateIRP()
	p.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, dispatch, nil, nil, nil, irp)
	if err := await("WskSocket", irp); err != nil {
		return nil, err
	}
	s := irp.IoStatus.Socket
	p.sockets = append(p.sockets, s)
	irp = wsk.AllocateIRP()
	s.Bind(wsk.NewSockaddr(local), 0, irp)
	if err := await("WskBind", irp); err != nil {
		return nil, err
	}
	if dispatch == nil {
		return s, nil
	}
	irp = wsk.AllocateIRP()
	s.ControlSocket(wsk.WskSetOption, wsk.SO_WSK_EVENT_CALLBACK, wsk.SOL_SOCKET, wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM),
		nil, nil, irp)
	return s, await("SO_WSK_EVENT_CALLBACK", irp)
}

// closeSocket closes a socket, which may be closed.
func closeSocket(s *wsk.Socket) error {
	irp := wsk.AllocateIRP()
	s.Close(irp)
	err := await("WskCloseSocket", irp)
	if errors.Is(err, wsk.STATUS_FILE_CLOSED) {
		return nil
	}
	return err
}

// close closes the sockets and the datapath. A socket that does not close keeps the rest open: to wait for it would never end.
func (p *provider) close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	var errs []error
	for _, s := range p.sockets {
		errs = append(errs, closeSocket(s))
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, p.closeDatapath())
	}
	wsk.ReleaseProviderNPI(&p.reg)
	wsk.Deregister(&p.reg)
	p.subsystem.Detach()
	return p.closeDatapath()
}

func (p *provider) closeDatapath() error {
	done := make(chan error, 1)
	go func() { done <- p.dp.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(testenv.Patience(callLimit)):
		return errors.New("Datapath.Close does not return")
	}
}
