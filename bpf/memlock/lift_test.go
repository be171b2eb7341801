// SPDX-License-Identifier: Apache-2.0

//go:build linux

package memlock_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func limit(t *testing.T) (r unix.Rlimit) {
	t.Helper()
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// low sets the soft limit, which needs no privilege and leaves room to be lifted.
func low(t *testing.T) unix.Rlimit {
	t.Helper()
	old := limit(t)
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
			t.Error(err)
		}
	})
	if old.Max < 32<<10 {
		t.Fatalf("the hard limit is %d", old.Max)
	}
	want := unix.Rlimit{Cur: 16 << 10, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

func TestLift(t *testing.T) {
	before := low(t)
	for _, c := range []struct {
		name    string
		answers []error
		want    error
	}{
		{"fine", []error{nil}, nil},
		{"lifted", []error{fmt.Errorf("create map: %w", unix.EPERM), nil}, nil},
		{"not permitted", []error{unix.EPERM, unix.EPERM}, unix.EPERM},
		{"refused", []error{unix.EINVAL}, unix.EINVAL},
		{"refused later", []error{unix.EPERM, unix.EINVAL}, unix.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			err := memlock.Lift(func() error {
				if calls > 0 && limit(t).Cur <= before.Cur {
					t.Errorf("call %d has limit %d", calls, limit(t).Cur)
				}
				calls++
				return c.answers[calls-1]
			})
			if calls != len(c.answers) || !errors.Is(err, c.want) || limit(t) != before {
				t.Errorf("%d calls, %v, limit %+v afterwards; want %d, %v, %+v", calls, err, limit(t), len(c.answers), c.want, before)
			}
		})
	}
}

func TestLiftTogether(t *testing.T) {
	before := low(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			calls := 0
			if err := memlock.Lift(func() error {
				if calls++; calls == 1 {
					return unix.EPERM
				}
				if limit(t).Cur <= before.Cur {
					t.Error("another put the limit back")
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if limit(t) != before {
		t.Errorf("limit %+v, was %+v", limit(t), before)
	}
}

// Without a limit, or at one that this process can't raise, there is nothing to lift, and the first answer stands.
func TestLiftNothing(t *testing.T) {
	highest := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if hard := low(t).Max; unix.Setrlimit(unix.RLIMIT_MEMLOCK, &highest) != nil {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: hard, Max: hard}); err != nil {
			t.Fatal(err)
		}
	}
	calls := 0
	if err := memlock.Lift(func() error { calls++; return unix.EPERM }); calls != 1 || !errors.Is(err, unix.EPERM) {
		t.Errorf("%d calls, %v", calls, err)
	}
}
