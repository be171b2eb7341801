// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inNamespace runs f in the network namespace of the descriptor fd, or of the calling thread when fd is 0. A socket stays
// in the namespace it was made in, so only the making needs this.
//
// setns needs CAP_SYS_ADMIN in the namespace; it is not called when the thread is there already.
func inNamespace(fd int, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if fd == 0 {
		return f()
	}
	here, err := sameNamespace(fd)
	if err != nil {
		return err
	}
	if here {
		return f()
	}
	result := make(chan error, 1)
	go func() { result <- onOtherThread(fd, f) }()
	return <-result
}

// onOtherThread runs f with the thread of the calling goroutine in the namespace. When the thread can't be brought back
// it stays locked and dies with the goroutine, so that no other goroutine ever runs on it; the goroutine must end then.
func onOtherThread(fd int, f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own network namespace: %w", err)
	}
	defer home.Close()
	if err := netns.Set(netns.NsHandle(fd)); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace (fd %d, needs CAP_SYS_ADMIN there): %w", fd, err)
	}
	err = f()
	if netns.Set(home) == nil {
		runtime.UnlockOSThread()
	}
	return err
}

// sameNamespace reports whether fd is the namespace of the calling thread: same inode on the same device.
func sameNamespace(fd int) (bool, error) {
	var theirs, ours unix.Stat_t
	if err := unix.Fstat(fd, &theirs); err != nil {
		return false, fmt.Errorf("look at network namespace (fd %d): %w", fd, err)
	}
	const path = "/proc/thread-self/ns/net"
	if err := unix.Stat(path, &ours); err != nil {
		return false, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return theirs.Dev == ours.Dev && theirs.Ino == ours.Ino, nil
}
