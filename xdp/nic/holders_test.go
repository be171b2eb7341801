// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// holdQueue in the environment names the interface and the queue that TestHoldQueue holds.
const holdQueue = "XDP_TEST_HOLD_QUEUE"

// TestHoldQueue is the other process of the tests below.
func TestHoldQueue(t *testing.T) {
	o := xdp.Options{TxChunks: 8, Mode: xdp.ModeCopy}
	if _, err := fmt.Sscan(os.Getenv(holdQueue), &o.Ifname, &o.Queue); err != nil {
		return
	}
	s, err := xdp.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test is over
}

// holder starts a process that holds a queue of one end, and returns its number.
func holder(t *testing.T, h *testenv.Host, queue uint32) int {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHoldQueue$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", holdQueue, h.If.Name(), queue))
	cmd.Stderr = os.Stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		t.Fatal(err)
	}
	inNS(t, h, cmd.Start) // a process starts in the namespace of the thread
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "held" {
			return cmd.Process.Pid
		}
	}
	t.Fatalf("the holder of queue %d ended", queue)
	return 0
}

func findHolders(t *testing.T, host *testenv.Host, ifindex int) (h nic.Holders) {
	t.Helper()
	inNS(t, host, func() error {
		h = nic.FindHolders(ifindex)
		return nil
	})
	return h
}

// told fails the test unless the kernel told which sockets there are. Where it lacks that, the reason must say what is
// missing.
func told(t *testing.T, h nic.Holders) bool {
	t.Helper()
	if errors.Is(h.Err, nic.ErrNotSupported) && strings.Contains(h.Err.Error(), "CONFIG_XDP_SOCKETS_DIAG") && len(h.Bound) == 0 {
		return false
	}
	if h.Err != nil {
		t.Fatal(h.Err)
	}
	return true
}

// process is a process as the tests expect it to be named.
func process(t *testing.T, pid int) nic.Process {
	t.Helper()
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		t.Fatal(err)
	}
	return nic.Process{PID: pid, Name: strings.TrimSpace(string(name))}
}

// Another process holds two queues, this one a third: each is named where the kernel has sock_diag, and where it has
// not, both are named as those who might.
func TestFindHolders(t *testing.T) {
	lab := newLab(t, 4)
	ifindex := lab.A.If.Index()
	if h := findHolders(t, lab.A, ifindex); h.Sockets != 0 || h.Err != nil || len(h.Bound) != 0 {
		t.Fatalf("a namespace without sockets: %+v", h)
	}
	other, self := process(t, holder(t, lab.A, 3)), process(t, os.Getpid())
	open(t, lab.A, lab.A.If.Name(), 1)
	h := findHolders(t, lab.A, ifindex)
	if h.Sockets != 2 {
		t.Errorf("%d sockets, want 2", h.Sockets)
	}
	if told(t, h) {
		for i := range h.Bound {
			if h.Bound[i].Inode == 0 {
				t.Errorf("%+v has no inode", h.Bound[i])
			}
			h.Bound[i].Inode = 0
		}
		uid := uint32(os.Getuid())
		want := []nic.Holder{
			{Queue: 1, UID: uid, Processes: []nic.Process{self}}, {Queue: 3, UID: uid, Processes: []nic.Process{other}},
		}
		if diff := cmp.Diff(want, h.Bound); diff != "" {
			t.Errorf("bound (-want +got):\n%s", diff)
		}
		if got, want := h.Describe(3), "held by "+other.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	} else {
		for _, p := range []nic.Process{self, other} {
			if !strings.Contains(h.Describe(3), p.String()) || !strings.Contains(fmt.Sprint(h.Candidates), p.String()) {
				t.Errorf("%v is not named: %q, %v", p, h.Describe(3), h.Candidates)
			}
		}
	}
	if h := findHolders(t, lab.A, 1); len(h.Bound) != 0 {
		t.Errorf("another interface: %+v", h)
	}
	if h := findHolders(t, lab.B, ifindex); h.Sockets != 0 || len(h.Bound) != 0 {
		t.Errorf("another namespace: %+v", h)
	}
}

// A socket whose descriptor is closed lives on in its mappings, and holds its queue.
func TestFindHoldersMapped(t *testing.T) {
	lab := newLab(t, 1)
	s := open(t, lab.A, lab.A.If.Name(), 0)
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	// The number stays taken until Close, which would else close what somebody else has opened meanwhile.
	if err := unix.Dup3(null, s.FD(), unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	h := findHolders(t, lab.A, lab.A.If.Index())
	if h.Sockets != 1 {
		t.Errorf("%d sockets, want 1", h.Sockets)
	}
	if told(t, h) && (len(h.Bound) != 1 || len(h.Bound[0].Processes) != 1) {
		t.Errorf("%+v", h.Bound)
	}
	if want := fmt.Sprintf("pid %d (", os.Getpid()); !strings.Contains(h.Describe(0), want) {
		t.Errorf("%q does not name %q", h.Describe(0), want)
	}
}

// The kernel's list ends at the first socket whose interface was deleted: what stands behind it must not be taken for
// free.
func TestFindHoldersBehindADeletedInterface(t *testing.T) {
	lab := newLab(t, 1)
	open(t, lab.A, lab.A.If.Name(), 0)
	deleted, err := lab.A.If.Bridge("br0")
	if err != nil {
		t.Fatal(err)
	}
	open(t, lab.A, "br0", 0) // newer, and so further ahead in the list
	if err := deleted.Delete(); err != nil {
		t.Fatal(err)
	}
	h := findHolders(t, lab.A, lab.A.If.Index())
	if h.Sockets != 2 {
		t.Errorf("%d sockets, want 2", h.Sockets)
	}
	if h.Err == nil && len(h.Bound) != 1 {
		t.Errorf("a list that is said to be whole lacks queue 0: %+v", h)
	}
	if want := fmt.Sprintf("pid %d (", os.Getpid()); !strings.Contains(h.Describe(0), want) {
		t.Errorf("%q does not name %q", h.Describe(0), want)
	}
	t.Logf("bound %v, candidates %v: %v", h.Bound, h.Candidates, h.Err)
}
