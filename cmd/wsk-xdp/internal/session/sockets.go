// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// callTimeout bounds WskSocket, WskBind and the like, which need nobody on the network.
const callTimeout = 10 * time.Second

// closeTimeout bounds WskCloseSocket, which waits for what is with the kernel. After it the datapath is closed, which
// ends everything.
const closeTimeout = 3 * time.Second

// openSocket makes and binds one WSK socket.
func (s *Session) openSocket(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	family, wildcard := uint16(wsk.AF_INET6), netip.IPv6Unspecified()
	if o.Destination.Addr().Unmap().Is4() {
		family, wildcard = wsk.AF_INET, netip.IPv4Unspecified()
	}
	irp := wsk.AllocateIRP()
	s.npi.Socket(family, wsk.SOCK_DGRAM, wsk.IPPROTO_UDP, wsk.WSK_FLAG_DATAGRAM_SOCKET, nil, nil, nil, nil, nil, irp)
	if err := irp.Wait(ctx); err != nil {
		return fmt.Errorf("WskSocket: %w", err)
	}
	if err := irp.IoStatus.Status.Err(); err != nil {
		return fmt.Errorf("WskSocket: %w", err)
	}
	socket := irp.IoStatus.Socket
	s.Sockets = append(s.Sockets, socket)
	if s.IsBroadcast() || o.Destination.Addr() == limitedBroadcast {
		if err := setOption(ctx, socket, wsk.SOL_SOCKET, wsk.SO_BROADCAST, 1); err != nil {
			return err
		}
	}
	if o.DontFragment {
		level, option := uint32(wsk.IPPROTO_IPV6), uint32(wsk.IPV6_DONTFRAG)
		if family == wsk.AF_INET {
			level, option = wsk.IPPROTO_IP, wsk.IP_DONTFRAGMENT
		}
		if err := setOption(ctx, socket, level, option, 1); err != nil {
			return err
		}
	}
	local := netip.AddrPortFrom(wildcard, o.Source.Port())
	if a := o.Source.Addr(); a.IsValid() {
		if a.Is6() && a.IsLinkLocalUnicast() && s.WayErr == nil {
			a = a.WithZone(fmt.Sprint(s.Way.Interface.Index))
		}
		local = netip.AddrPortFrom(a, o.Source.Port())
	}
	irp.Reuse(wsk.STATUS_SUCCESS)
	socket.Bind(wsk.NewSockaddr(local), 0, irp)
	if err := irp.Wait(ctx); err != nil {
		return fmt.Errorf("WskBind %v: %w", local, err)
	}
	if err := irp.IoStatus.Status.Err(); err != nil {
		return fmt.Errorf("WskBind %v: %w", local, err)
	}
	bound, err := localAddress(ctx, socket)
	if err != nil {
		return err
	}
	s.Locals = append(s.Locals, bound)
	return nil
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func localAddress(ctx context.Context, socket *wsk.Socket) (netip.AddrPort, error) {
	sa := make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6)
	irp := wsk.AllocateIRP()
	socket.GetLocalAddress(sa, irp)
	if err := irp.Wait(ctx); err != nil {
		return netip.AddrPort{}, fmt.Errorf("WskGetLocalAddress: %w", err)
	}
	if err := irp.IoStatus.Status.Err(); err != nil {
		return netip.AddrPort{}, fmt.Errorf("WskGetLocalAddress: %w", err)
	}
	ap, _ := sa.AddrPort()
	return ap, nil
}

func setOption(ctx context.Context, socket *wsk.Socket, level, option, value uint32) error {
	irp := wsk.AllocateIRP()
	input := []byte{byte(value), byte(value >> 8), byte(value >> 16), byte(value >> 24)}
	socket.ControlSocket(wsk.WskSetOption, option, level, input, nil, nil, irp)
	if err := irp.Wait(ctx); err != nil {
		return fmt.Errorf("WskControlSocket level %#x option %#x: %w", level, option, err)
	}
	if err := irp.IoStatus.Status.Err(); err != nil {
		return fmt.Errorf("WskControlSocket level %#x option %#x: %w", level, option, err)
	}
	return nil
}

// Close closes the sockets, waits for what is with the kernel for a bounded time, and then ends the datapath. ctx is
// used for its values only: closing goes on after an interrupt.
func (s *Session) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	irps := make([]wsk.IRP, len(s.Sockets))
	for i, socket := range s.Sockets {
		socket.Close(&irps[i])
	}
	var stuck bool
	for i := range irps {
		stuck = irps[i].Wait(ctx) != nil || stuck
	}
	var err error
	if stuck {
		err = errors.New("close: the kernel did not give every frame back in time; the datapath was ended all the same")
		err = errors.Join(err, s.dp.Close())
	}
	s.Sockets = nil
	if s.captured {
		wsk.ReleaseProviderNPI(&s.registration)
		s.captured = false
	}
	if s.registered {
		wsk.Deregister(&s.registration)
		s.registered = false
	}
	s.subsystem.Detach()
	if s.dp != nil {
		err = errors.Join(err, s.dp.Close())
	}
	return err
}
