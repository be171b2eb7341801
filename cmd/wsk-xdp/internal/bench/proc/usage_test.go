// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUsageAgreesWithGetrusage looks at this process from outside and from inside.
func TestUsageAgreesWithGetrusage(t *testing.T) {
	inside := func() time.Duration {
		var r unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
			t.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	self := []int{os.Getpid()}
	before, mine := UsageOf(self), inside()
	for x, end := 0, time.Now().Add(50*time.Millisecond); time.Now().Before(end); x++ {
		_ = x * x
	}
	total, user := UsageOf(self).Since(before)
	own := inside() - mine
	if diff := (total - own).Abs(); diff > 10*time.Millisecond || total <= 0 {
		t.Errorf("%v from outside, %v from inside", total, own)
	}
	if user < 0 || user > total {
		t.Errorf("user time %v of %v", user, total)
	}
	if rss := PeakRSS(self); rss < 1<<20 || rss > 1<<36 {
		t.Errorf("peak resident memory of %d bytes", rss)
	}
}

// TestUsageTellsUserFromSystem spends time on one side, then on the other.
func TestUsageTellsUserFromSystem(t *testing.T) {
	buf := make([]byte, 1<<20)
	share := func(work func()) float64 {
		before := UsageOf([]int{os.Getpid()})
		for end := time.Now().Add(150 * time.Millisecond); time.Now().Before(end); {
			work()
		}
		total, user := UsageOf([]int{os.Getpid()}).Since(before)
		return float64(user) / float64(total)
	}
	kernel := func() { // fresh pages; a read into buf would cost the race detector more than the kernel
		b, err := unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Munmap(b)
	}
	compute := func() {
		for i := range buf {
			buf[i]++
		}
	}
	inTurn := func() {
		for _, work := range []func(){kernel, compute} {
			for end := time.Now().Add(5 * time.Millisecond); time.Now().Before(end); {
				work()
			}
		}
	}
	inKernel, inUser, inBoth := share(kernel), share(compute), share(inTurn)
	if inKernel > 0.5 || inUser < 0.5 || inBoth < 0.15 || inBoth > 0.85 {
		t.Errorf("user share %.2f when mapping, %.2f when computing, %.2f in turn", inKernel, inUser, inBoth)
	}
}

func TestUsageDividesExactTimeByTicks(t *testing.T) {
	before := Usage{total: 10, user: 4, ticked: 8}
	total, user := Usage{total: 110, user: 44, ticked: 168}.Since(before)
	if total != 100 || user != 25 {
		t.Errorf("total %d user %d, want 100 and a quarter of it", total, user)
	}
	if total, user := (Usage{total: 20, user: 4, ticked: 8}).Since(before); total != 10 || user != 0 {
		t.Errorf("without a tick: total %d user %d", total, user)
	}
}

func TestProcessTree(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "/bin/sh -c 'read x; exit' & wait")
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer hold.Close()
	tree := Tree(os.Getpid())
	if !slices.Contains(tree, cmd.Process.Pid) || tree[0] != os.Getpid() {
		t.Errorf("tree %v without child %d", tree, cmd.Process.Pid)
	}
	if got := Tree(1<<22 + 1); len(got) != 1 {
		t.Errorf("tree of nobody: %v", got)
	}
	if u := UsageOf([]int{1<<22 + 1}); u != (Usage{}) {
		t.Errorf("usage of nobody: %+v", u)
	}
}
