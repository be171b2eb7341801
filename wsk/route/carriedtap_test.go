// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"os"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// reader is the program behind a tun device.
type reader struct {
	mu  sync.Mutex
	all [][]byte
}

// tapDevice makes a tap whose reader is an end of the stage.
func (s *stage) tapDevice(name string, flags uint16) netlink.Link {
	s.t.Helper()
	fd := -1
	must(s.t, s.ns.Do(func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return err
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(flags)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}))
	f := os.NewFile(uintptr(fd), name)
	r := &reader{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			b := make([]byte, 4096)
			n, err := f.Read(b)
			if err != nil {
				return
			}
			r.mu.Lock()
			r.all = append(r.all, b[:n])
			r.mu.Unlock()
		}
	}()
	s.t.Cleanup(func() { f.Close(); <-done })
	s.ends = append(s.ends, end{name, func() [][]byte { r.mu.Lock(); defer r.mu.Unlock(); return slices.Clone(r.all) }})
	l, err := s.h.LinkByName(name)
	must(s.t, err)
	return l
}
