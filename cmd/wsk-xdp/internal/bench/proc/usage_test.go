// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUsageAgreesWithGetrusage looks at this process from outside and from inside. The look from inside lies between
// two from outside, and so must its figures.
func TestUsageAgreesWithGetrusage(t *testing.T) {
	self := []int{os.Getpid()}
	before := UsageOf(self)
	for range 10 {
		compute()
	}
	early := UsageOf(self)
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	late := UsageOf(self)
	const cut = 2 * time.Microsecond // user and system time each are cut to microseconds
	if inside := time.Duration(r.Utime.Nano() + r.Stime.Nano()); inside < early.total-cut || inside > late.total {
		t.Errorf("%v from inside, %v and %v from outside before and after", inside, early.total, late.total)
	}
	if total, user := late.Since(before); total <= 0 || user < 0 || user > total {
		t.Errorf("user time %v of %v", user, total)
	}
	if rss := PeakRSS(self); rss < 1<<20 || rss > 1<<36 {
		t.Errorf("peak resident memory of %d bytes", rss)
	}
}

// compute spends time as a user alone: it touches no memory.
func compute() {
	x := uint64(1)
	for range 1_000_000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	sink.Store(x)
}

var sink atomic.Uint64

// TestUsageTellsUserFromSystem works on one side until ticks have seen it there, then on the other. The ticks decide
// how long that takes, so that neither the speed of the machine nor what else it does matters.
func TestUsageTellsUserFromSystem(t *testing.T) {
	const ticks = 100 * time.Millisecond // 10 at the least, with 100 of them a second
	self := []int{os.Getpid()}
	// until works until one side has grown by ticks, and returns by how much both have.
	until := func(work func(), side func(user, system time.Duration) time.Duration) (user, system time.Duration) {
		before := UsageOf(self)
		for end := time.Now().Add(limit); time.Now().Before(end); {
			work()
			now := UsageOf(self)
			user, system = now.user-before.user, now.ticked-now.user-(before.ticked-before.user)
			if side(user, system) >= ticks {
				return user, system
			}
		}
		t.Fatalf("after %v of work %v of user and %v of system time", limit, user, system)
		return 0, 0
	}
	kernel := func() { // fresh pages; a read into memory would cost the race detector more than the kernel
		b, err := unix.Mmap(-1, 0, 32<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Munmap(b)
	}
	start := UsageOf(self)
	if user, system := until(kernel, func(_, system time.Duration) time.Duration { return system }); user >= system {
		t.Errorf("mapping memory: %v of user time for %v of system time", user, system)
	}
	middle := UsageOf(self)
	if user, system := until(compute, func(user, _ time.Duration) time.Duration { return user }); system >= user {
		t.Errorf("computing: %v of system time for %v of user time", system, user)
	}
	end := UsageOf(self)
	share := func(after, before Usage) float64 {
		total, user := after.Since(before)
		return float64(user) / float64(total)
	}
	if mapping, both, computing := share(middle, start), share(end, start), share(end, middle); mapping >= both || both >= computing {
		t.Errorf("user share %.2f when mapping, %.2f when computing, %.2f over both", mapping, computing, both)
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
