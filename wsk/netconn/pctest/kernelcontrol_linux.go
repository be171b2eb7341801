// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"errors"
	"net"
	"syscall"
)

// kernelControl sets the socket options on both levels. One of them may be refused, by a socket of the other version.
func kernelControl(c Conn) error {
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	set := func(level int, options ...int) (err error) {
		ctlErr := raw.Control(func(fd uintptr) {
			for _, o := range options {
				err = errors.Join(err, syscall.SetsockoptInt(int(fd), level, o, 1))
			}
		})
		return errors.Join(ctlErr, err)
	}
	err4 := set(syscall.IPPROTO_IP, syscall.IP_PKTINFO, syscall.IP_RECVTTL, syscall.IP_RECVTOS)
	err6 := set(syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, syscall.IPV6_RECVHOPLIMIT, syscall.IPV6_RECVTCLASS)
	if err4 == nil || err6 == nil {
		return nil
	}
	return errors.Join(err4, err6)
}
