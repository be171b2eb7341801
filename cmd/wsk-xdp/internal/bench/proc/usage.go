// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process and its children have used, as getrusage(2) would tell them, seen from outside.
type Usage struct {
	// total is the exact CPU time. user and ticked are what the scheduler's tick saw of user time and of all time:
	// their ratio divides total.
	total, user, ticked time.Duration
}

// Clock types of a process's CPU clock (include/linux/posix-timers.h).
const (
	clockProf  = 0 // user and system, by ticks
	clockVirt  = 1 // user, by ticks
	clockSched = 2 // all, exact
)

// cpuClock is MAKE_PROCESS_CPUCLOCK(pid, kind), which clock_getcpuclockid(3) makes.
func cpuClock(pid, kind int) int32 { return int32(^pid)<<3 | int32(kind) }

func readClock(clock int32) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// UsageOf adds up processes. One that has ended meanwhile counts for nothing.
func UsageOf(pids []int) (u Usage) {
	for _, pid := range pids {
		total, err1 := readClock(cpuClock(pid, clockSched))
		user, err2 := readClock(cpuClock(pid, clockVirt))
		ticked, err3 := readClock(cpuClock(pid, clockProf))
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		u.total += total
		u.user += user
		u.ticked += ticked
	}
	return u
}

// Since is what was used between two looks, as total and user time.
func (u Usage) Since(before Usage) (total, user time.Duration) {
	total = u.total - before.total
	if ticked := u.ticked - before.ticked; ticked > 0 {
		user = time.Duration(float64(total) * min(1, float64(u.user-before.user)/float64(ticked)))
	}
	return total, user
}

// Tree lists a process and its descendants.
func Tree(pid int) []int {
	out := []int{pid}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return out
	}
	for _, task := range tasks {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(raw)) {
			if child, err := strconv.Atoi(field); err == nil {
				out = append(out, Tree(child)...)
			}
		}
	}
	return out
}

// PeakRSS is the most memory that the processes have had resident, in bytes. ru_maxrss would count what was there
// before exec, too.
func PeakRSS(pids []int) uint64 { return statusBytes(pids, "VmHWM:") }

// RSS is the memory that the processes have resident now.
func RSS(pids []int) uint64 { return statusBytes(pids, "VmRSS:") }

func statusBytes(pids []int, key string) (bytes uint64) {
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if rest, ok := strings.CutPrefix(line, key); ok {
				if kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64); err == nil {
					bytes += kib << 10
				}
			}
		}
	}
	return bytes
}
