// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit bounds a test; the machine may be busy.
const limit = 2 * time.Minute

// The test binary is also a child: it counts to ten, says twice what its task was, and ends with its standard input.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

func child() int {
	var task string
	out, end, err := Serve(os.Stdin, os.Stdout, &task)
	if err != nil {
		return 1
	}
	if task == "fail" {
		os.Stderr.WriteString("as it was told\n")
		return 2
	}
	counter, err := OpenCounter()
	if err != nil {
		return 3
	}
	counter.Add(3)
	counter.Add(7)
	var cpus unix.CPUSet
	if unix.SchedGetaffinity(0, &cpus) != nil || out.Encode(task) != nil || out.Encode(cpus.Count()) != nil {
		return 4
	}
	<-end
	if out.Encode("end") != nil {
		return 5
	}
	return 0
}

func here(f func() error) error { return f() }

func command(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	return []string{self, "child"}
}

// TestChild: the task arrives, the events come back in their order, the counter is shared, and one CPU is one CPU.
func TestChild(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	counter, err := NewCounter()
	if err != nil {
		t.Fatal(err)
	}
	defer counter.Close()
	all := CPUs()
	if len(all) == 0 {
		t.Fatal("no CPU")
	}
	p, err := StartChild(On(all[len(all)-1], here), command(t), "a task", counter.File())
	if err != nil {
		t.Fatal(err)
	}
	var said string
	var cpus int
	if err := p.Next(ctx, &said); err != nil || said != "a task" {
		t.Errorf("%q, %v", said, err)
	}
	if err := p.Next(ctx, &cpus); err != nil || cpus != 1 {
		t.Errorf("on %d CPUs, %v", cpus, err)
	}
	if n := counter.Load(); n != 10 {
		t.Errorf("counted %d", n)
	}
	if err := p.Stop(limit); err != nil {
		t.Error(err)
	}
	if err := p.Next(ctx, &said); err != nil || said != "end" || len(p.Events()) != 3 {
		t.Errorf("%q, %v", said, err)
	}
	if err := p.Next(ctx, &said); err == nil {
		t.Errorf("another event: %q", said)
	}
	if err := p.Pause(ctx, limit); !errors.Is(err, ErrEnded) {
		t.Errorf("paused with the dead: %v", err)
	}
	if now := CPUs(); !slices.Equal(now, all) {
		t.Errorf("this process is on %v, was on %v", now, all)
	}
}

// TestChildThatFails says why.
func TestChildThatFails(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	p, err := StartChild(here, command(t), "fail")
	if err != nil {
		t.Fatal(err)
	}
	var event json.RawMessage
	if err := p.Next(ctx, &event); err == nil || !strings.Contains(err.Error(), "as it was told") {
		t.Errorf("%v", err)
	}
	if err := p.Stop(limit); err == nil || !strings.Contains(err.Error(), "as it was told") {
		t.Errorf("stop: %v", err)
	}
	if _, err := StartChild(On(1023, here), command(t), "x"); err == nil {
		t.Error("started on a CPU that is not there")
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var tail Tail
	for range 3 * tailSize {
		_, _ = tail.Write([]byte("x\n"))
	}
	_, _ = tail.Write([]byte("the last\n"))
	if n := len(tail.Bytes()); n > 2*tailSize || tail.last() != "the last" {
		t.Errorf("%d bytes, %q", n, tail.last())
	}
}

// TestRSS: what is resident now is no more than ever was.
func TestRSS(t *testing.T) {
	self := []int{os.Getpid()}
	if now, peak := RSS(self), PeakRSS(self); now < 1<<20 || now > peak {
		t.Errorf("%d bytes now, %d at most", now, peak)
	}
}
