// SPDX-License-Identifier: Apache-2.0

//go:build linux

package netns

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// onMain are functions for the main thread, which belongs to the goroutine of TestMain.
var onMain = make(chan func())

func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	go testenv.Main(m) // ends the process
	for f := range onMain {
		f()
	}
}

// inside reports whether the calling thread is in the namespace of a laboratory: this process's own has no wsk0.
func inside(t *testing.T) bool {
	t.Helper()
	_, err := net.InterfaceByName("wsk0")
	return err == nil
}

func TestDo(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	kept, err := Keep(lab.A.NS.FD())
	if err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	for name, do := range map[string]func(func() error) error{
		"by descriptor": func(f func() error) error { return Do(lab.A.NS.FD(), f) },
		"kept":          kept.Do,
	} {
		err := do(func() error {
			if !inside(t) {
				t.Errorf("%s: the function runs elsewhere", name)
			}
			return mine
		})
		if err != mine {
			t.Errorf("%s: error %v", name, err)
		}
		if inside(t) {
			t.Errorf("%s: the caller is inside", name)
		}
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
	if _, err := lab.A.NS.Inode(); err != nil {
		t.Errorf("the descriptor that was kept once more: %v", err)
	}
}

// 0 is the namespace of the calling thread, and one that the thread is in already takes no other thread: a function that
// calls again from inside stays where it is.
func TestDoWhereTheThreadIs(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	err := Do(lab.A.NS.FD(), func() error {
		thread := unix.Gettid()
		kept, err := Keep(0)
		if err != nil {
			return err
		}
		defer kept.Close()
		if kept.FD() == 0 {
			t.Error("descriptor 0 means the calling thread's namespace")
		}
		check := func() error {
			if unix.Gettid() != thread || !inside(t) {
				t.Errorf("thread %d, inside %t; want %d, inside", unix.Gettid(), inside(t), thread)
			}
			return nil
		}
		return errors.Join(Do(0, check), Do(lab.A.NS.FD(), check), kept.Do(check))
	})
	if err != nil {
		t.Error(err)
	}
}

// The main thread is never moved: its namespace is what /proc/self shows.
func TestMainThreadStaysAtHome(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	done := make(chan struct{})
	onMain <- func() {
		defer close(done)
		err := onOtherThread(lab.A.NS.FD(), func() error {
			if unix.Gettid() == unix.Getpid() || !inside(t) {
				t.Errorf("thread %d of process %d, inside %t", unix.Gettid(), unix.Getpid(), inside(t))
			}
			return nil
		})
		if err != nil || inside(t) {
			t.Errorf("%v; the main thread is inside: %t", err, inside(t))
		}
	}
	<-done
}

// A thread that can't go back, for its privilege is gone, ends; what the function found holds.
func TestThreadThatCannotGoBack(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	thread := 0
	mine := errors.New("mine")
	err := Do(lab.A.NS.FD(), func() error {
		thread = unix.Gettid()
		if _, err := testenv.DropCapabilities(); err != nil {
			return err
		}
		return mine
	})
	if err != mine {
		t.Errorf("error %v", err)
	}
	if inside(t) {
		t.Error("the caller is inside")
	}
	testenv.Eventually(t, testenv.Patience(10*time.Second), "the end of the thread", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		return errors.Is(err, os.ErrNotExist)
	})
}

func TestFunctionThatEndsItsGoroutine(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	if err := Do(lab.A.NS.FD(), func() error { runtime.Goexit(); return nil }); err != errGoexit {
		t.Errorf("error %v", err)
	}
}

func TestRefusals(t *testing.T) {
	never := func() error { t.Error("the function ran"); return nil }
	for _, fd := range []int{1 << 20, -1} {
		if err := Do(fd, never); !errors.Is(err, unix.EBADF) {
			t.Errorf("descriptor %d: %v", fd, err)
		}
		if _, err := Keep(fd); !errors.Is(err, unix.EBADF) {
			t.Errorf("keep descriptor %d: %v", fd, err)
		}
	}
	file, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var refused *EnterError
	if err := Do(int(file.Fd()), never); !errors.As(err, &refused) || refused.Err != unix.EINVAL {
		t.Errorf("no namespace: %v", err)
	}
}

// A program without privilege works in the namespace that it is in, and is refused every other.
func TestWithoutPrivilege(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // ends with this goroutine
		if _, err := testenv.DropCapabilities(); err != nil {
			t.Error(err)
			return
		}
		own, err := Keep(0)
		if err != nil {
			t.Error(err)
			return
		}
		defer own.Close()
		if err := own.Do(func() error { return nil }); err != nil {
			t.Errorf("own namespace: %v", err)
		}
		var refused *EnterError
		err = onOtherThread(lab.B.NS.FD(), func() error { t.Error("entered another namespace"); return nil })
		if !errors.Is(err, unix.EPERM) || !errors.As(err, &refused) {
			t.Errorf("another namespace: %v", err)
		}
	}()
	<-done
}
