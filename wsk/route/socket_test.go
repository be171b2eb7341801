// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestOfSocket: what a socket is set to is what is asked with, and the scope of a link-local address is the interface it is bound to.
func TestOfSocket(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	index, linkLocal := lab.A.If.Index(), netip.MustParsePrefix("fe80::a/64")
	must(t, lab.A.If.AddAddr(linkLocal))
	for name, set := range map[string]func(fd int) (Query, error){
		"nothing": func(int) (Query, error) { return Query{Owner: OwnerUID(uint32(unix.Geteuid()))}, nil },
		"options": func(fd int) (Query, error) {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 77); err != nil {
				return Query{}, err
			}
			return Query{Bound: index, Mark: 77, Owner: OwnerUID(uint32(unix.Geteuid()))}, unix.BindToDevice(fd, "wsk0")
		},
		"owner": func(fd int) (Query, error) { return Query{Owner: OwnerUID(0)}, unix.Fchown(fd, 0, 0) },
		"scope": func(fd int) (Query, error) {
			sa := &unix.SockaddrInet6{Addr: linkLocal.Addr().As16(), ZoneId: uint32(index)}
			return Query{Bound: index, Owner: OwnerUID(uint32(unix.Geteuid()))}, unix.Bind(fd, sa)
		},
	} {
		must(t, lab.A.NS.Do(func() error {
			fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			want, err := set(fd)
			if err != nil {
				return err
			}
			var got Query
			if err := got.OfSocket(fd); err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
			}
			return nil
		}))
	}
}
