// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// Socket is a UDP socket of the kernel's that belongs to an endpoint: its companion, or one on a group.
type Socket struct {
	own  *Owner
	file *os.File
	raw  syscall.RawConn
	Six  bool
	id   socketID
	recv reader
}

// open makes an unbound one, in the datapath's namespace. setUp gets the descriptor, on that thread, and
// binds it; the socket is closed when it fails.
func (k *Socket) open(own *Owner, six bool, options []sockopt, setUp func(fd int) error) error {
	lockrank.AssertMay(locks.Ask, "to open a kernel socket")
	k.own, k.Six = own, six
	k.recv.k = k
	return own.Host.InNetNS(func() error {
		domain := unix.AF_INET
		if six {
			domain = unix.AF_INET6
		}
		fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		k.id = socketOf(fd)
		// From here on the file owns the descriptor, and the runtime's poller knows it.
		k.file = os.NewFile(uintptr(fd), "udp socket "+strconv.FormatUint(uint64(k.id), 10))
		if k.raw, err = k.file.SyscallConn(); err == nil {
			err = setOptions(fd, append(receiveOptions(six), options...))
		}
		if err == nil {
			err = setUp(fd)
		}
		if err != nil {
			k.file.Close()
		}
		return err
	})
}

type sockopt struct{ level, name, value int }

func setOptions(fd int, options []sockopt) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("setsockopt %d/%d=%d: %w", o.level, o.name, o.value, err)
		}
	}
	return nil
}

// defaultReceiveBuffer is what a WSK socket says its SO_RCVBUF is until it is set; the kernel's own default of 208 KiB loses
// a burst of a hundred full frames. The kernel caps it at net.core.rmem_max.
const defaultReceiveBuffer = 1 << 20

// receiveOptions make the kernel tell about each datagram what a frame would have told, and keep groups away that
// other sockets of the host have joined. An IPv6 socket needs both levels, for IPv4 datagrams on it.
func receiveOptions(six bool) []sockopt {
	options := []sockopt{
		{unix.SOL_SOCKET, unix.SO_RCVBUF, defaultReceiveBuffer},
		{unix.IPPROTO_IP, unix.IP_RECVERR, 1},
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.IPPROTO_IP, unix.IP_RECVTTL, 1},
		{unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
	}
	if six {
		options = append(options,
			sockopt{unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1},
			sockopt{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			sockopt{unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			sockopt{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			sockopt{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0})
	}
	return options
}

// Control calls f with the descriptor, unless the socket is closed.
func (k *Socket) Control(f func(fd int) error) (err error) {
	if e := k.raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return unix.ECANCELED
	}
	return err
}

func (k *Socket) setReuse(on bool) {
	_ = k.Control(func(fd int) error {
		SetReuse(fd, on)
		return nil
	})
}

func (k *Socket) bindTo(fd int, ap netip.AddrPort) error {
	lockrank.AssertMay(locks.Ask, "to bind a kernel socket")
	sa, err := k.Sockaddr(ap)
	if err != nil {
		return err
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

// Sockaddr is an address in the form of this socket's family: IPv4 is v4-mapped for an IPv6 socket.
func (k *Socket) Sockaddr(ap netip.AddrPort) (unix.Sockaddr, error) {
	a := ap.Addr()
	if !k.Six {
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

// setReceive sets what the socket above wants. Failure leaves the default, which is no loss of datagrams.
func (k *Socket) setReceive(o wsk.ReceiveOptions) {
	err := k.Control(func(fd int) error {
		options := []sockopt{{unix.IPPROTO_UDP, unix.UDP_GRO, boolInt(o.MaxCoalesced > 0)}}
		if o.BufferBytes != 0 {
			options = append(options, sockopt{unix.SOL_SOCKET, unix.SO_RCVBUF, int(min(o.BufferBytes, 1<<30))})
		}
		return setOptions(fd, options)
	})
	if err != nil {
		k.own.Host.Log.Debug("configure receiving socket", "err", err)
	}
}
