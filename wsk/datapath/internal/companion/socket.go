// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// socket is a UDP socket of the kernel's.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	six  bool
	id   socketID
	log  *slog.Logger
	// bound says that the socket was inherited with its address.
	bound bool
	at    wsk.BindRequest // where it is bound; guarded by the port table's mu
}

// socketID is the inode of a socket, by which sock_diag names it.
type socketID uint32

func socketOf(fd int) socketID {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0
	}
	return socketID(st.Ino)
}

// openSocket makes a socket in the network namespace in which inNetNS runs functions. bind gets it with its descriptor, on
// the thread that is there; where that fails the socket is closed. inherited is a socket to use instead of a new one, or -1.
func openSocket(
	inNetNS func(func() error) error, log *slog.Logger, six bool, inherited int, options []sockopt, bind func(s *socket, fd int) error,
) (*socket, error) {
	lockrank.AssertMay(locks.Ask, "to open a kernel socket")
	s := &socket{six: six, log: log, bound: inherited >= 0}
	err := inNetNS(func() error {
		fd, err := newDescriptor(six, inherited)
		if err != nil {
			return err
		}
		s.id = socketOf(fd)
		// From here on the file owns the descriptor, and the runtime's poller knows it.
		s.file = os.NewFile(uintptr(fd), "udp socket "+strconv.FormatUint(uint64(s.id), 10))
		if s.raw, err = s.file.SyscallConn(); err == nil {
			err = setOptions(fd, append(receiveOptions(six), options...))
		}
		if err == nil {
			err = bind(s, fd)
		}
		if err != nil {
			s.file.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// newDescriptor is a new UDP socket, or the one that was inherited.
func newDescriptor(six bool, inherited int) (int, error) {
	if inherited >= 0 {
		unix.CloseOnExec(inherited)
		if err := unix.SetNonblock(inherited, true); err != nil {
			return -1, os.NewSyscallError("take over a socket", err)
		}
		return inherited, nil
	}
	domain := unix.AF_INET
	if six {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	return fd, os.NewSyscallError("socket", err)
}

// control calls f with the descriptor, unless the socket is closed.
func (s *socket) control(f func(fd int) error) (err error) {
	if e := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return unix.ECANCELED
	}
	return err
}

func (s *socket) setReuse(on bool) {
	_ = s.control(func(fd int) error {
		setReuse(fd, on)
		return nil
	})
}

func (s *socket) bindTo(fd int, ap netip.AddrPort) error {
	lockrank.AssertMay(locks.Ask, "to bind a kernel socket")
	sa, err := s.sockaddr(ap)
	if err != nil {
		return err
	}
	if s.bound {
		return isBoundTo(fd, sa)
	}
	return os.NewSyscallError("bind", unix.Bind(fd, sa))
}

// isBoundTo is nil when an inherited socket has the address that is wanted.
func isBoundTo(fd int, want unix.Sockaddr) error {
	have, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	switch have := have.(type) {
	case *unix.SockaddrInet4:
		if want, ok := want.(*unix.SockaddrInet4); ok && have.Port == want.Port && have.Addr == want.Addr {
			return nil
		}
	case *unix.SockaddrInet6:
		if want, ok := want.(*unix.SockaddrInet6); ok && have.Port == want.Port && have.Addr == want.Addr && have.ZoneId == want.ZoneId {
			return nil
		}
	}
	return fmt.Errorf("the socket that was inherited has another address: %w", unix.EADDRNOTAVAIL)
}

// sockaddr is an address in the form of this socket's family: IPv4 is v4-mapped for an IPv6 socket.
func (s *socket) sockaddr(ap netip.AddrPort) (unix.Sockaddr, error) {
	a := ap.Addr()
	if !s.six {
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

// setReceive sets what the WSK socket wants to receive. Failure leaves the default, which is no loss of datagrams.
func (s *socket) setReceive(o wsk.ReceiveOptions) {
	err := s.control(func(fd int) error {
		options := []sockopt{{unix.IPPROTO_UDP, unix.UDP_GRO, boolInt(o.MaxCoalesced > 0)}}
		if o.BufferBytes != 0 {
			options = append(options, sockopt{unix.SOL_SOCKET, unix.SO_RCVBUF, int(min(o.BufferBytes, 1<<30))})
		}
		return setOptions(fd, options)
	})
	if err != nil {
		s.log.Debug("configure receiving socket", "err", err)
	}
}
