// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// companion is the kernel UDP socket that every bound endpoint holds on its address and port. It keeps the port
// from everybody else, brings ICMP errors and path MTUs, and sends to destinations that AF_XDP does not reach.
type companion struct {
	ep   *endpoint
	file *os.File
	raw  syscall.RawConn
	six  bool

	mu      sync.Mutex
	waiting opList
	sending bool
	closed  bool
	policy  wsk.FragmentPolicy // what the socket is set to; touched by the sender only
	noCheck bool
	scratch slowScratch
}

// The dynamic port range of Windows (wsk.md §4.5).
const (
	firstDynamicPort = 49152
	lastDynamicPort  = 65535
)

// openCompanion binds a kernel socket to the wanted address, choosing a free dynamic port where none is asked for.
func openCompanion(ep *endpoint, req wsk.BindRequest) (*companion, netip.AddrPort, wsk.NTSTATUS) {
	c := &companion{ep: ep, six: ep.family == wsk.AF_INET6, policy: unsetPolicy}
	var fd int
	var local netip.AddrPort
	err := ep.dp.ns.run(func() (err error) {
		fd, err = c.socket(req)
		if err != nil {
			return err
		}
		if local, err = c.bind(fd, req.Local); err != nil {
			unix.Close(fd)
		}
		return err
	})
	if err != nil {
		ep.dp.log.Debug("bind", "address", req.Local, "err", err)
		return nil, netip.AddrPort{}, bindStatus(err)
	}
	c.file = os.NewFile(uintptr(fd), "companion "+local.String())
	if c.raw, err = c.file.SyscallConn(); err != nil {
		c.file.Close()
		return nil, netip.AddrPort{}, wsk.STATUS_INSUFFICIENT_RESOURCES
	}
	return c, local, wsk.STATUS_SUCCESS
}

func (c *companion) socket(req wsk.BindRequest) (int, error) {
	domain := unix.AF_INET
	if c.six {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	type option struct{ level, name, value int }
	options := []option{
		{unix.SOL_SOCKET, unix.SO_BROADCAST, 1}, // the permission is the WSK socket's, checked before
		{unix.IPPROTO_IP, unix.IP_RECVERR, 1},
	}
	if c.six {
		only := 1
		if req.DualStack {
			only = 0
		}
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only},
			option{unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			unix.Close(fd)
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	return fd, nil
}

var errNoPort = errors.New("no free port in the dynamic range")

func (c *companion) bind(fd int, want netip.AddrPort) (netip.AddrPort, error) {
	if want.Port() != 0 {
		return want, c.bindTo(fd, want)
	}
	const ports = lastDynamicPort - firstDynamicPort + 1
	start := rand.N(ports)
	for i := range ports {
		ap := netip.AddrPortFrom(want.Addr(), uint16(firstDynamicPort+(start+i)%ports))
		switch err := c.bindTo(fd, ap); {
		case err == nil:
			return ap, nil
		case !errors.Is(err, unix.EADDRINUSE):
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPort{}, errNoPort
}

func (c *companion) bindTo(fd int, ap netip.AddrPort) error {
	sa, err := c.sockaddr(ap)
	if err != nil {
		return err
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

// sockaddr is an address in the form of this socket's family: IPv4 is v4-mapped for an IPv6 socket.
func (c *companion) sockaddr(ap netip.AddrPort) (unix.Sockaddr, error) {
	a := ap.Addr()
	if !c.six {
		if a = a.Unmap(); !a.Is4() {
			return nil, fmt.Errorf("address %v on an IPv4 socket: %w", ap, unix.EAFNOSUPPORT)
		}
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}, nil
	}
	sa := &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16()}
	if z := a.Zone(); z != "" {
		id, err := strconv.ParseUint(z, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("zone %q of %v is not an interface index: %w", z, ap, unix.EINVAL)
		}
		sa.ZoneId = uint32(id)
	}
	return sa, nil
}

// bindStatus is the status of a WskBind that the kernel refused (wsk.md §2.5).
func bindStatus(err error) wsk.NTSTATUS {
	if errors.Is(err, errNoPort) {
		return wsk.STATUS_TOO_MANY_ADDRESSES
	}
	return errnoStatus(err)
}

// errnoStatus translates what the kernel's own stack says (wsk.md §7).
func errnoStatus(err error) wsk.NTSTATUS {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return wsk.STATUS_UNSUCCESSFUL
	}
	switch errno {
	case unix.EMSGSIZE:
		return wsk.STATUS_INVALID_BUFFER_SIZE
	case unix.ENETUNREACH:
		return wsk.STATUS_NETWORK_UNREACHABLE
	case unix.EHOSTUNREACH:
		return wsk.STATUS_HOST_UNREACHABLE
	case unix.EADDRINUSE:
		return wsk.STATUS_ADDRESS_ALREADY_EXISTS
	case unix.EADDRNOTAVAIL:
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	case unix.EACCES, unix.EPERM:
		return wsk.STATUS_ACCESS_DENIED
	case unix.ENOBUFS, unix.ENOMEM, unix.EMFILE, unix.ENFILE:
		return wsk.STATUS_INSUFFICIENT_RESOURCES
	case unix.ECONNREFUSED:
		return wsk.STATUS_PORT_UNREACHABLE
	case unix.EOPNOTSUPP, unix.EAFNOSUPPORT:
		return wsk.STATUS_NOT_SUPPORTED
	case unix.ENETDOWN:
		return wsk.STATUS_NETWORK_UNREACHABLE
	case unix.ECANCELED:
		return wsk.STATUS_CANCELLED
	case unix.ENODEV, unix.ENXIO:
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	default:
		return wsk.STATUS_INVALID_PARAMETER
	}
}

// close gives the port back. Nothing is waiting any more.
func (c *companion) close() {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if !was {
		c.file.Close()
	}
}
