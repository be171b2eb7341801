// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

var errGoexit = errors.New("function ended its goroutine (t.FailNow or runtime.Goexit) inside the namespace")

type threadOutcome struct {
	err      error
	panicked any
	stack    []byte
}

// onThread runs enter and then f on a locked thread that is not the main one, and puts the thread back into its network
// namespace. Where that fails the goroutine ends locked, and the runtime destroys the thread.
//
// Threads are put back rather than always thrown away because a child process started with Pdeathsig dies with the
// thread that started it, and any idle thread may be picked here.
func onThread(enter, f func() error) error {
	done := make(chan threadOutcome, 1)
	body := func() {
		out := threadOutcome{err: errGoexit}
		orig := -1
		runtime.LockOSThread()
		defer func() {
			if p := recover(); p != nil {
				out.panicked, out.stack = p, debug.Stack()
			}
			if orig < 0 || unix.Setns(orig, unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			if orig >= 0 {
				unix.Close(orig)
			}
			done <- out
		}()
		fd, err := openNetNS(threadNetNS)
		if err != nil {
			out.err = err
			return
		}
		orig = fd
		if err := enter(); err != nil {
			out.err = fmt.Errorf("enter network namespace: %w", err)
			return
		}
		out.err = f()
	}
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if unix.Gettid() != unix.Getpid() {
			body()
			return
		}
		// The main thread is never moved: /proc/self shows its namespace, and it cannot be destroyed if it got stuck in
		// the wrong one. While it is locked here, the body runs on another.
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			body()
		}()
		<-finished
	}()
	out := <-done
	if out.panicked != nil {
		panic(fmt.Sprintf("%v\n\n[raised inside a namespace]\n%s", out.panicked, out.stack))
	}
	return out.err
}
