// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
)

// names knows the interfaces of a network namespace, by a socket that was made there. A nil one has nothing to close.
type names struct{ fd int }

func newNames(ns *netns.NS) (*names, error) {
	n := new(names)
	err := ns.Do(func() (err error) {
		n.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// of is the name of an interface, empty when there is none.
func (n *names) of(index uint32) string {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return ""
	}
	ifr.SetUint32(index)
	if unix.IoctlIfreq(n.fd, unix.SIOCGIFNAME, ifr) != nil {
		return ""
	}
	return ifr.Name()
}

func (n *names) close() {
	if n != nil {
		unix.Close(n.fd)
	}
}
