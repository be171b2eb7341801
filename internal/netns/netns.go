// SPDX-License-Identifier: Apache-2.0

//go:build linux

// Package netns runs functions in another network namespace.
//
// A socket belongs to the namespace of the thread that makes it and stays in it, whatever thread uses it later. So only the
// making has to happen on a thread that is there; goroutines wander over threads, and [Do] sees to that.
package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const threadNetNS = "/proc/thread-self/ns/net"

// errGoexit is what the caller gets instead of nothing.
var errGoexit = errors.New("the function ended its goroutine (runtime.Goexit) inside the network namespace")

// EnterError is the refusal to take a thread into a namespace. [Do] returns it as it is, so that a caller can tell it by a
// type assertion from an error that its own function wraps.
type EnterError struct {
	FD  int
	Err error // the errno of setns(2)
}

func (e *EnterError) Error() string {
	return fmt.Sprintf("enter network namespace (fd %d, needs CAP_SYS_ADMIN there): %v", e.FD, e.Err)
}

func (e *EnterError) Unwrap() error { return e.Err }

// Do runs f on a thread that is in the network namespace of the descriptor fd and returns f's error. fd stays the caller's
// and must stay open meanwhile; 0 means the namespace of the calling thread. Goroutines that f starts are not in the
// namespace.
//
// A thread that is there already is used as it is: a program that lives in one namespace needs no privilege. Otherwise f runs
// on another goroutine, and entering needs CAP_SYS_ADMIN in the namespace. A thread that can't be brought back dies with that
// goroutine, and neither the caller nor any other goroutine ever runs on it; f's result holds all the same.
func Do(fd int, f func() error) error {
	if fd == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		return f()
	}
	id, err := identify(fd)
	if err != nil {
		return err
	}
	return run(fd, id, f)
}

// NS is a network namespace that is kept open. Safe for concurrent use, but for Close.
type NS struct {
	fd int
	id identity
}

// Keep opens the namespace of the descriptor fd once more, or that of the calling thread when fd is 0. fd stays the caller's.
func Keep(fd int) (*NS, error) {
	var own int
	var err error
	if fd == 0 {
		own, err = Open(threadNetNS)
	} else {
		own, err = dup(fd)
	}
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	id, err := identify(own)
	if err != nil {
		unix.Close(own)
		return nil, err
	}
	return &NS{own, id}, nil
}

// Open returns a descriptor of the namespace at path, never 0. The caller closes it.
func Open(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil || fd != 0 {
		return fd, err
	}
	defer unix.Close(fd)
	return dup(fd)
}

// dup returns another descriptor than 0, which means the calling thread's namespace wherever one is passed on.
func dup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 1) }

// FD is the descriptor. It stays n's: do not close it.
func (n *NS) FD() int { return n.fd }

// Close gives up the descriptor. No call of Do may be under way or follow.
func (n *NS) Close() error { return unix.Close(n.fd) }

// Do is the function [Do] for this namespace.
func (n *NS) Do(f func() error) error { return run(n.fd, n.id, f) }

// identity is what two descriptors of one namespace have in common.
type identity struct{ dev, ino uint64 }

func identify(fd int) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return identity{}, fmt.Errorf("look at network namespace (fd %d): %w", fd, err)
	}
	return identity{st.Dev, st.Ino}, nil
}

// ofThread is the identity of the calling thread's namespace.
func ofThread() (identity, error) {
	var st unix.Stat_t
	if err := unix.Stat(threadNetNS, &st); err != nil {
		return identity{}, &os.PathError{Op: "stat", Path: threadNetNS, Err: err}
	}
	return identity{st.Dev, st.Ino}, nil
}

func run(fd int, id identity, f func() error) error {
	here, err := runHere(id, f)
	if here || err != nil {
		return err
	}
	return onGoroutine(func() error { return onOtherThread(fd, f) })
}

// runHere runs f if the calling thread is in the namespace already, and reports whether it is.
func runHere(id identity, f func() error) (here bool, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := ofThread()
	if err != nil || own != id {
		return false, err
	}
	return true, f()
}

// onOtherThread runs f with the thread of the calling goroutine in the namespace. When the thread can't be brought back
// it stays locked and dies with the goroutine; the goroutine must end then.
func onOtherThread(fd int, f func() error) error {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread stays at home: /proc/self shows its namespace to all others, and the runtime can't end it. While it
		// is locked here, the next goroutine runs on another.
		defer runtime.UnlockOSThread()
		return onGoroutine(func() error { return onOtherThread(fd, f) })
	}
	home, err := Open(threadNetNS)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open the thread's network namespace: %w", err)
	}
	defer unix.Close(home)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return &EnterError{fd, err}
	}
	err = f()
	if unix.Setns(home, unix.CLONE_NEWNET) == nil {
		runtime.UnlockOSThread()
	}
	return err
}

// onGoroutine runs f on a goroutine of its own and waits for it.
func onGoroutine(f func() error) error {
	result := errGoexit
	done := make(chan struct{})
	go func() {
		defer close(done)
		result = f()
	}()
	<-done
	return result
}
