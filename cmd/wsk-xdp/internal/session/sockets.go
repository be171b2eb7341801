// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// openSockets makes and binds as many as were asked for, unless there are too few descriptors for them.
func (s *Session) openSockets(ctx context.Context, o Options) error {
	before := openFiles()
	for i := range max(o.Sockets, 1) {
		if o.SourcePorts.IsSet() {
			o.Source = netip.AddrPortFrom(o.Source.Addr(), o.SourcePorts.At(uint64(i)))
		}
		if err := s.openSocket(ctx, o); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		if err := enoughFiles(o.Sockets, openFiles()-before); err != nil {
			return err
		}
	}
	return nil
}

// openFiles counts the descriptors of this process, 0 where that is not known.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// spareFiles is how many descriptors stay free for everything that is not a socket of a flow.
const spareFiles = 16

// enoughFiles refuses more sockets than there are descriptors for, when one of them, which is open, takes so many.
func enoughFiles(sockets, each int) error {
	var limit unix.Rlimit
	if sockets < 2 || each < 1 || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	if need := uint64(openFiles() + (sockets-1)*each + spareFiles); need > limit.Cur {
		return exit.Usagef("--flows %d takes %d open files, and this process may have %d: fewer flows, or ulimit -n %d (as root, or by whoever set the limit)",
			sockets, need, limit.Cur, need)
	}
	return nil
}

// openSocket makes and binds one WSK socket.
func (s *Session) openSocket(ctx context.Context, o Options) error {
	family, wildcard := uint16(wsk.AF_INET6), netip.IPv6Unspecified()
	if o.Destination.Addr().Unmap().Is4() {
		family, wildcard = wsk.AF_INET, netip.IPv4Unspecified()
	}
	socket, err := s.client.Socket(ctx, family, s.listener.Dispatch(o.Datagrams), nil)
	if err != nil {
		return err
	}
	s.Sockets = s.client.Sockets()
	if s.IsBroadcast() || o.Destination.Addr() == limitedBroadcast {
		if err := client.SetOption(ctx, socket, wsk.SOL_SOCKET, wsk.SO_BROADCAST, 1); err != nil {
			return err
		}
	}
	if o.DontFragment {
		level, option := uint32(wsk.IPPROTO_IPV6), uint32(wsk.IPV6_DONTFRAG)
		if family == wsk.AF_INET {
			level, option = wsk.IPPROTO_IP, wsk.IP_DONTFRAGMENT
		}
		if err := client.SetOption(ctx, socket, level, option, 1); err != nil {
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
	if err := client.Bind(ctx, socket, local); err != nil {
		return err
	}
	if err := s.listener.Listen(ctx, family, socket); err != nil {
		return err
	}
	bound, err := client.LocalAddress(ctx, socket)
	if err != nil {
		return err
	}
	s.Locals = append(s.Locals, bound)
	return nil
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Close closes the sockets, waits for what is with the kernel for a bounded time, and then ends the datapath. ctx is
// used for its values only: closing goes on after an interrupt.
func (s *Session) Close(ctx context.Context) error {
	s.Sockets = nil
	if s.client == nil {
		return nil // what Open has not opened
	}
	return s.client.Close(ctx)
}
