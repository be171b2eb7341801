// SPDX-License-Identifier: Apache-2.0

package sockets

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
)

// Options say what sockets to open.
type Options struct {
	// Way is udp, sendmmsg or gso, Batch the most datagrams of a call.
	Way   string
	Batch int
	// Bound is what each socket is bound to; port 0 is one of the kernel's choice.
	Bound []netip.AddrPort
	// Interface is what everything leaves through, empty for the route's; Zone the index of a link-local destination's.
	Interface string
	Zone      int
	TTL, TOS  uint8
	DF        bool
}

// ErrTaken is wrapped when another socket has a source port.
var ErrTaken = errors.New("another socket has it")

// ErrDescriptors is wrapped when this process may have no more of them.
var ErrDescriptors = errors.New("there are no descriptors left")

// Open opens the sockets in a namespace. Of the plan its headers, sources and ports are not looked at.
func Open(ns *netns.NS, p frames.Plan, o Options) (l *Lane, err error) {
	l = &Lane{icmp: icmp.NewListener()}
	switch o.Way {
	case blast.EngineUDP:
		l.way = single{}
	case blast.EngineSendmmsg:
		l.way = newVector(o.Batch)
	case blast.EngineGSO:
		l.way = segments{p.Sizes[0]}
	default:
		return nil, fmt.Errorf("sockets: no way %q", o.Way)
	}
	l.burst = make([]int, l.way.most(o.Batch))
	for i := range p.Flows {
		one := p.Space.At(i)
		l.flows = append(l.flows, flow{int(one.Source), newAddress(one.To, o.Zone)})
	}
	l.Begin(p)
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	return l, ns.Do(func() error {
		for _, local := range o.Bound {
			fd, err := open(local, &o, p.Sizes[0])
			if err != nil {
				return err
			}
			l.sockets = append(l.sockets, fd)
			bound, err := boundTo(fd)
			if err != nil {
				return err
			}
			l.locals = append(l.locals, netip.AddrPortFrom(local.Addr(), bound))
		}
		return nil
	})
}

// Begin begins a run, whose flows and sizes are those that the sockets were opened for: its numbers, its payload, the first flow.
func (l *Lane) Begin(p frames.Plan) {
	l.order, l.numbers = blast.NewOrder(int(p.Flows), p.Random, p.Space.Seed), blast.NewNumbers(p.Stamp, p.Run, p.Clock, p.Flows)
	l.payload, l.sizes, l.size, l.flow = p.Payload, p.Sizes, 0, -1
	l.fill()
}

// fill writes the payload for as many datagrams as a call takes. Where sizes differ each call writes it anew.
func (l *Lane) fill() {
	l.body = make([]byte, 0, len(l.burst)*len(l.payload))
	for range l.burst {
		l.body = append(l.body, l.payload...)
	}
}

// open opens a socket that is bound.
func open(local netip.AddrPort, o *Options, segment int) (fd int, err error) {
	is4 := local.Addr().Is4()
	family := unix.AF_INET6
	if is4 {
		family = unix.AF_INET
	}
	if fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		if errors.Is(err, unix.EMFILE) {
			err = ErrDescriptors
		}
		return -1, fmt.Errorf("open a UDP socket: %w", err)
	}
	if err = o.set(fd, is4, segment); err == nil {
		err = bind(fd, local, o.Zone)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func bind(fd int, local netip.AddrPort, zone int) error {
	var to unix.Sockaddr
	if a := local.Addr(); a.Is4() {
		to = &unix.SockaddrInet4{Port: int(local.Port()), Addr: a.As4()}
	} else {
		to = &unix.SockaddrInet6{Port: int(local.Port()), Addr: a.As16(), ZoneId: scope(a, zone)}
	}
	err := unix.Bind(fd, to)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("source port %d: %w", local.Port(), ErrTaken)
	}
	if err != nil {
		return fmt.Errorf("bind to %v: %w", local, err)
	}
	return nil
}

// boundTo is the port of a socket.
func boundTo(fd int) (uint16, error) {
	local, err := unix.Getsockname(fd)
	switch a := local.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port), err
	case *unix.SockaddrInet6:
		return uint16(a.Port), err
	}
	return 0, fmt.Errorf("ask for the port of a socket: %w", err)
}

// set sets the options of a socket that is not bound yet.
func (o *Options) set(fd int, is4 bool, segment int) (err error) {
	option := func(what string, level, name, value int) {
		if err == nil {
			if err = unix.SetsockoptInt(fd, level, name, value); err != nil {
				err = fmt.Errorf("set %s to %d: %w", what, value, err)
			}
		}
	}
	// Where fragments are allowed, DF is not set either: IP_PMTUDISC_WANT would learn a path MTU during the run.
	discovery := unix.IP_PMTUDISC_DONT
	if o.DF {
		discovery = unix.IP_PMTUDISC_DO
	}
	option("SO_BROADCAST", unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	if is4 {
		option("IP_RECVERR", unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		option("IP_TTL", unix.IPPROTO_IP, unix.IP_TTL, int(o.TTL))
		option("IP_MULTICAST_TTL", unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, int(o.TTL))
		option("IP_TOS", unix.IPPROTO_IP, unix.IP_TOS, int(o.TOS))
		option("IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, discovery)
	} else {
		option("IPV6_RECVERR", unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		option("IPV6_UNICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, int(o.TTL))
		option("IPV6_MULTICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, int(o.TTL))
		option("IPV6_TCLASS", unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(o.TOS))
		option("IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, discovery)
	}
	if o.Way == blast.EngineGSO {
		option("UDP_SEGMENT", unix.SOL_UDP, unix.UDP_SEGMENT, segment)
	}
	if err == nil && o.Interface != "" {
		if err = unix.BindToDevice(fd, o.Interface); err != nil {
			err = fmt.Errorf("bind to interface %s: %w", o.Interface, err)
		}
	}
	if err == nil {
		drop := []unix.SockFilter{{Code: unix.BPF_RET}} // nothing of what comes
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	}
	return err
}
