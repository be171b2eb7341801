// SPDX-License-Identifier: Apache-2.0

package companion

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

type sockopt struct{ level, name, value int }

func setOptions(fd int, options []sockopt) error {
	for _, o := range options {
		err := unix.SetsockoptInt(fd, o.level, o.name, o.value)
		if o.name == unix.SO_RCVBUFFORCE && o.level == unix.SOL_SOCKET && err == unix.EPERM {
			err = unix.SetsockoptInt(fd, o.level, unix.SO_RCVBUF, o.value) // as much as everybody may have
		}
		if err != nil {
			return fmt.Errorf("setsockopt %d/%d=%d: %w", o.level, o.name, o.value, err)
		}
	}
	return nil
}

// defaultReceiveBuffer is what a WSK socket says its SO_RCVBUF is until it is set; the kernel's own default of 208 KiB
// loses a burst of a hundred full frames. The kernel caps it at net.core.rmem_max.
const defaultReceiveBuffer = 1 << 20

// receiveBuffer is the option for a buffer of so many bytes, none for the default.
func receiveBuffer(bytes int) []sockopt {
	if bytes == 0 {
		return nil
	}
	return []sockopt{{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes}}
}

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

// setReuse sets SO_REUSEADDR. A kernel that refuses leaves it as it was, and the bind that follows fails.
func setReuse(fd int, on bool) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, boolInt(on))
}

func setFragmentPolicy(fd int, six bool, policy wsk.FragmentPolicy) error {
	v4, v6 := unix.IP_PMTUDISC_DONT, unix.IPV6_PMTUDISC_DONT
	switch policy {
	case wsk.IP_PMTUDISC_DO:
		v4, v6 = unix.IP_PMTUDISC_DO, unix.IPV6_PMTUDISC_DO
	case wsk.IP_PMTUDISC_PROBE:
		v4, v6 = unix.IP_PMTUDISC_PROBE, unix.IPV6_PMTUDISC_PROBE
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, v4); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if !six {
		return nil
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, v6))
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
