// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// Fragmentation says what a sender does about datagrams above the MTU.
type Fragmentation uint8

const (
	// FragmentDefault is the kernel's default: DF set on what fits, path MTU discovery on.
	FragmentDefault Fragmentation = iota
	// FragmentAllow clears DF and fragments.
	FragmentAllow
	// FragmentForbid sets DF always; Send fails with EMSGSIZE above the path MTU.
	FragmentForbid
	// FragmentIgnore sets DF and ignores the path MTU, not the interface MTU.
	FragmentIgnore
)

// UDPSenderOptions describes what the kernel is to put into the headers. The zero value gives the kernel's defaults,
// except that IPv6 flow labels are 0 so that frames can be compared.
type UDPSenderOptions struct {
	// Source address and port. Invalid or zero: the kernel's choice, of the family of the first destination.
	Source netip.AddrPort
	// TOS is the IPv4 type of service or IPv6 traffic class.
	TOS int
	// TTL is the time to live or hop limit, 0 for the kernel's default.
	TTL           int
	Fragmentation Fragmentation
	// Interface is the index to send through: for multicast, broadcast and link-local destinations. 0: by route.
	Interface int
	// AutoFlowLabel lets the kernel choose IPv6 flow labels.
	AutoFlowLabel bool
	// NoChecksum sends IPv4 datagrams without UDP checksum.
	NoChecksum bool
}

// UDPSender makes the kernel send datagrams from a namespace: golden frames, and traffic for receive tests. It may be
// used concurrently.
type UDPSender struct {
	mu    sync.Mutex
	fd    int
	local netip.AddrPort
	opts  UDPSenderOptions
}

// NewUDPSender opens a sending socket. An IPv6 sender needs an IPv6 Source, if only [netip.IPv6Unspecified]; without
// one it is IPv4.
func NewUDPSender(ns *Namespace, opts UDPSenderOptions) (*UDPSender, error) {
	if !opts.Source.Addr().IsValid() {
		opts.Source = netip.AddrPortFrom(netip.IPv4Unspecified(), opts.Source.Port())
	}
	fd, err := ns.Socket(family(opts.Source.Addr()), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, err
	}
	s := &UDPSender{fd: fd, opts: opts}
	if err := s.configure(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open udp sender %v: %w", opts.Source, err)
	}
	return s, nil
}

// sendBuffer is asked for sending sockets, for what a receiver may hold back.
const sendBuffer = 16 << 20

func (s *UDPSender) configure() error {
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	type option struct{ level, name, value int }
	pmtu := [...]int{-1, unix.IP_PMTUDISC_DONT, unix.IP_PMTUDISC_DO, unix.IP_PMTUDISC_PROBE}
	if int(s.opts.Fragmentation) >= len(pmtu) {
		return fmt.Errorf("fragmentation %d is unknown", s.opts.Fragmentation)
	}
	discover := pmtu[s.opts.Fragmentation]
	options := []option{{unix.SOL_SOCKET, unix.SO_BROADCAST, 1}}
	if s.opts.NoChecksum {
		options = append(options, option{unix.SOL_SOCKET, unix.SO_NO_CHECK, 1})
	}
	if s.opts.Source.Addr().Is4() {
		options = append(options, option{unix.IPPROTO_IP, unix.IP_TOS, s.opts.TOS})
		if s.opts.TTL != 0 {
			options = append(options, option{unix.IPPROTO_IP, unix.IP_TTL, s.opts.TTL},
				option{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, s.opts.TTL})
		}
		if discover >= 0 {
			options = append(options, option{unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, discover})
		}
	} else {
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			option{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, s.opts.TOS},
			option{unix.IPPROTO_IPV6, unix.IPV6_AUTOFLOWLABEL, b2i(s.opts.AutoFlowLabel)})
		if s.opts.TTL != 0 {
			options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, s.opts.TTL},
				option{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, s.opts.TTL})
		}
		if discover >= 0 {
			// The IPV6_PMTUDISC_* values equal the IP_PMTUDISC_* ones.
			options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, discover})
		}
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(s.fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("set socket option %d/%d=%d: %w", o.level, o.name, o.value, err)
		}
	}
	if s.opts.Interface != 0 {
		if err := bindInterface(s.fd, s.opts); err != nil {
			return fmt.Errorf("send through interface %d: %w", s.opts.Interface, err)
		}
	}
	if err := unix.Bind(s.fd, sockaddr(s.opts.Source, s.opts.Interface)); err != nil {
		return err
	}
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return err
	}
	s.local = addrPort(sa)
	return nil
}

func bindInterface(fd int, opts UDPSenderOptions) error {
	if opts.Source.Addr().Is4() {
		return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(opts.Interface)})
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, opts.Interface)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Local returns the address and port that the socket is bound to.
func (s *UDPSender) Local() netip.AddrPort { return s.local }

// Send sends one datagram and never blocks. The payload is not kept. The error carries the errno: EMSGSIZE,
// ENETUNREACH, ECONNREFUSED, or EAGAIN when the socket's buffer is full of datagrams that the far side holds back.
func (s *UDPSender) Send(dst netip.AddrPort, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return ErrClosed
	}
	if err := unix.Sendto(s.fd, payload, 0, sockaddr(dst, s.opts.Interface)); err != nil {
		return fmt.Errorf("send %d bytes to %v: %w", len(payload), dst, err)
	}
	return nil
}

// Close closes the socket. A second Close does nothing.
func (s *UDPSender) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}
