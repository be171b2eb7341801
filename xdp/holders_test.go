// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

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
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// holdQueue in the environment names the interface and the queue that TestHoldQueue holds.
const holdQueue = "XDP_TEST_HOLD_QUEUE"

// TestHoldQueue is the other process of the tests below.
func TestHoldQueue(t *testing.T) {
	var o Options
	if _, err := fmt.Sscan(os.Getenv(holdQueue), &o.Ifname, &o.Queue); err != nil {
		return
	}
	o.TxChunks, o.Mode = 8, ModeCopy
	s := must(Open(o))(t)
	defer s.Close()
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test is over
}

// holder starts a process that holds a queue of va, and returns its number.
func (l *lab) holder(queue uint32) int {
	l.t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestHoldQueue$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=va %d", holdQueue, queue))
	cmd.Stderr = os.Stderr
	in := must(cmd.StdinPipe())(l.t)
	out := must(cmd.StdoutPipe())(l.t)
	if err := cmd.Start(); err != nil { // a process starts in the namespace of the thread
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "held" {
			return cmd.Process.Pid
		}
	}
	l.t.Fatalf("the holder of queue %d ended", queue)
	return 0
}

// told fails the test unless the kernel told which sockets there are. Where it lacks that, the reason must say what is missing.
func told(t *testing.T, h Holders) bool {
	t.Helper()
	if errors.Is(h.Err, ErrNotSupported) && strings.Contains(h.Err.Error(), "CONFIG_XDP_SOCKETS_DIAG") && len(h.Bound) == 0 {
		return false
	}
	if h.Err != nil {
		t.Fatal(h.Err)
	}
	return true
}

// Another process holds two queues, this one a third: each is named where the kernel has sock_diag, and where it has not, both are
// named as those who might.
func TestFindHolders(t *testing.T) {
	l := newLab(t, 4, 4)
	ifindex := l.va.Attrs().Index
	if h := FindHolders(ifindex); h.Sockets != 0 || h.Err != nil || len(h.Bound) != 0 {
		t.Fatalf("a namespace without sockets: %+v", h)
	}
	pid := l.holder(3)
	self := Process{os.Getpid(), processName("/proc/self/comm")}
	other := Process{pid, processName(fmt.Sprintf("/proc/%d/comm", pid))}
	l.open(Options{Queue: 1, TxChunks: 8})
	h := FindHolders(ifindex)
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
		want := []Holder{{Queue: 1, UID: uid, Processes: []Process{self}}, {Queue: 3, UID: uid, Processes: []Process{other}}}
		if diff := cmp.Diff(want, h.Bound); diff != "" {
			t.Errorf("bound (-want +got):\n%s", diff)
		}
		if got, want := h.Describe(3), "held by "+other.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	} else {
		for _, p := range []Process{self, other} {
			if !strings.Contains(h.Describe(3), p.String()) || !strings.Contains(fmt.Sprint(h.Candidates), p.String()) {
				t.Errorf("%v is not named: %q, %v", p, h.Describe(3), h.Candidates)
			}
		}
	}
	if h := FindHolders(l.vb.Attrs().Index); len(h.Bound) != 0 {
		t.Errorf("the other end: %+v", h)
	}
	enterNetNS(t)
	if h := FindHolders(ifindex); h.Sockets != 0 || len(h.Bound) != 0 {
		t.Errorf("another namespace: %+v", h)
	}
}

// A socket whose descriptor is closed lives on in its mappings, and holds its queue.
func TestFindHoldersMapped(t *testing.T) {
	l := newLab(t, 1, 1)
	s := l.open(Options{TxChunks: 8})
	if err := unix.Close(s.fd); err != nil {
		t.Fatal(err)
	}
	s.fd = -1
	h := FindHolders(l.va.Attrs().Index)
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

// The kernel's list ends at the first socket whose interface was deleted: what stands behind it must not be taken for free.
func TestFindHoldersBehindADeletedInterface(t *testing.T) {
	l := newLab(t, 1, 1)
	l.open(Options{TxChunks: 8})
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "vc"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "vd"}); err != nil {
		t.Fatal(err)
	}
	vc := must(netlink.LinkByName("vc"))(t)
	l.up(vc)
	l.open(Options{Ifname: "vc", Mode: ModeCopy, TxChunks: 8}) // newer, and so further ahead in the list
	if err := netlink.LinkDel(vc); err != nil {
		t.Fatal(err)
	}
	h := FindHolders(l.va.Attrs().Index)
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
