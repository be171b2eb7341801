// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// netNS is the network namespace that a datapath belongs to. A socket belongs to the namespace of the thread that
// creates it, and Go's goroutines wander over threads, so everything that creates one goes through run.
type netNS struct {
	fd  int
	dev uint64
	ino uint64
}

const threadNetNS = "/proc/thread-self/ns/net"

// openNetNS keeps the namespace behind fd, or the calling thread's when fd is 0.
func openNetNS(fd int) (*netNS, error) {
	var own int
	var err error
	if fd == 0 {
		own, err = unix.Open(threadNetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	} else {
		own, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(own, &st); err != nil {
		unix.Close(own)
		return nil, fmt.Errorf("stat network namespace: %w", err)
	}
	return &netNS{fd: own, dev: st.Dev, ino: st.Ino}, nil
}

func (n *netNS) close() { unix.Close(n.fd) }

// run calls f on a thread of the namespace. A thread that is in it already is used as it is, so that a program
// that lives in one namespace needs no privilege for this.
func (n *netNS) run(f func() error) error {
	runtime.LockOSThread()
	var st unix.Stat_t
	if err := unix.Stat(threadNetNS, &st); err == nil && st.Dev == n.dev && st.Ino == n.ino {
		defer runtime.UnlockOSThread()
		return f()
	}
	back, err := unix.Open(threadNetNS, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the thread's network namespace: %w", err)
	}
	defer unix.Close(back)
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace (needs CAP_SYS_ADMIN there): %w", err)
	}
	err = f()
	if back := unix.Setns(back, unix.CLONE_NEWNET); back == nil {
		runtime.UnlockOSThread()
	}
	// A thread that cannot go back stays locked: the runtime ends it with this goroutine rather than hand it to another.
	return err
}
