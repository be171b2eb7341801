// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func inodeHere(t *testing.T) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(threadNetNS, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

func TestNamespaceDoRunsInsideAndComesBack(t *testing.T) {
	Require(t, NetNS)
	ns := NewNamespaceT(t)
	want, err := ns.Inode()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	outside := inodeHere(t)
	if outside == want {
		t.Fatal("the new namespace is the old one")
	}
	// Many at once, so that threads are reused while others are inside.
	var wg sync.WaitGroup
	for range 32 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := ns.Do(func() error {
				if got := inodeHere(t); got != want {
					t.Errorf("inside Do: namespace %d, want %d", got, want)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if got := inodeHere(t); got != outside {
				t.Errorf("beside Do: namespace %d, want %d", got, outside)
			}
		}()
	}
	wg.Wait()
	if got := inodeHere(t); got != outside {
		t.Errorf("after Do: namespace %d, want %d", got, outside)
	}
	assertNoThreadInside(t, want)
}

// assertNoThreadInside: a thread left behind would keep the namespace alive.
func assertNoThreadInside(t *testing.T, inode uint64) {
	t.Helper()
	Eventually(t, soon, "threads to leave the namespace", func() bool {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			var st unix.Stat_t
			if unix.Stat("/proc/self/task/"+task.Name()+"/ns/net", &st) == nil && st.Ino == inode {
				return false
			}
		}
		return true
	})
}

func TestNamespaceDoSurvivesPanicErrorAndGoexit(t *testing.T) {
	Require(t, NetNS)
	ns := NewNamespaceT(t)
	inode, _ := ns.Inode()
	boom := errors.New("boom")
	if err := ns.Do(func() error { return boom }); !errors.Is(err, boom) {
		t.Errorf("error: got %v", err)
	}
	if err := ns.Do(func() error { runtime.Goexit(); return nil }); !errors.Is(err, errGoexit) {
		t.Errorf("Goexit: got %v", err)
	}
	func() {
		defer func() {
			p := recover()
			if s, _ := p.(string); !strings.Contains(s, "bang") || !strings.Contains(s, "namespace_test.go") {
				t.Errorf("panic: got %v, want its value and the stack of its place", p)
			}
		}()
		_ = ns.Do(func() error { panic("bang") })
		t.Error("the panic did not come through")
	}()
	assertNoThreadInside(t, inode)
}

// A thread that cannot be put back must be destroyed, not reused in the wrong namespace.
func TestThreadThatCannotReturnIsDestroyed(t *testing.T) {
	Require(t, NetNS)
	ns := NewNamespaceT(t)
	inode, _ := ns.Inode()
	tid := 0
	err := onThread(
		func() error { return unix.Setns(ns.FD(), unix.CLONE_NEWNET) },
		func() error {
			tid = unix.Gettid()
			loseWayBack(t)
			return nil
		})
	if err != nil {
		t.Errorf("the result of the function was lost: %v", err)
	}
	assertNoThreadInside(t, inode)
	if tid == 0 {
		t.Fatal("the function did not run")
	}
	if _, err := os.Stat("/proc/self/task/" + strconv.Itoa(tid)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("thread %d lives on (%v)", tid, err)
	}
}

// loseWayBack closes this process's descriptor of the namespace outside, which onThread would go back by.
func loseWayBack(t *testing.T) {
	t.Helper()
	var outside unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &outside); err != nil {
		t.Fatal(err)
	}
	for fd := range openDescriptors() {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Ino == outside.Ino && st.Dev == outside.Dev {
			unix.Close(fd)
			return
		}
	}
	t.Error("no descriptor of the outer namespace found")
}

func TestNamespaceClose(t *testing.T) {
	Require(t, NetNS)
	ns, err := NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ns.Netlink(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := ns.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := ns.Do(func() error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
	if _, err := ns.Netlink(); !errors.Is(err, ErrClosed) {
		t.Errorf("Netlink after Close: %v", err)
	}
	if ns.FD() != -1 {
		t.Errorf("FD after Close: %d", ns.FD())
	}
}

func TestNamespaceIsPrepared(t *testing.T) {
	Require(t, NetNS)
	ns := NewNamespaceT(t)
	if err := ns.Do(func() error {
		ifs, err := net.Interfaces()
		if err != nil {
			return err
		}
		for _, i := range ifs {
			if i.Name == "lo" && i.Flags&net.FlagUp == 0 {
				t.Error("lo is down")
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, s := range labSysctls {
		got, err := ns.ReadSysctl(s.key)
		if err != nil {
			t.Error(err)
		} else if got != s.value {
			t.Errorf("%s is %s, want %s", s.key, got, s.value)
		}
	}
	if err := ns.Sysctl("ipv4/no_such_thing", "1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unknown sysctl: %v", err)
	}
}
