// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// threadsOn counts the threads of this process that may run on the given processors only, in the words of proc(5).
func threadsOn(t *testing.T, cpus string) (n int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		b, _ := os.ReadFile(path) // a thread may end meanwhile
		for line := range strings.Lines(string(b)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok && strings.TrimSpace(list) == cpus {
				n++
			}
		}
	}
	return n
}

// TestReceiveCPUs: each receiving goroutine has a thread on the processor asked for while the datapath is open, and no thread is left
// so after Close.
func TestReceiveCPUs(t *testing.T) {
	if runtime.NumCPU() == 1 {
		t.Log("with one processor every thread is bound to it")
		return
	}
	_, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static, A: testenv.End{TX: 2, RX: 2}, B: testenv.End{TX: 2, RX: 2}},
		Options{Queues: 2, ReceiveCPUs: []int{0, 1}})
	testenv.Eventually(t, waitLimit, "a thread on each processor", func() bool { return threadsOn(t, "0") == 1 && threadsOn(t, "1") == 1 })
	if err := dp.Close(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, waitLimit, "the threads to end", func() bool { return threadsOn(t, "0") == 0 && threadsOn(t, "1") == 0 })
}

func TestReceiveCPUsRefused(t *testing.T) {
	for _, cpu := range []int{-1, 1023, 1 << 20} {
		dp, err := Open(Options{ReceiveCPUs: []int{cpu}})
		if err == nil {
			dp.Close()
			t.Fatalf("processor %d was taken", cpu)
		}
		if !strings.Contains(err.Error(), "may use") {
			t.Errorf("processor %d: %v", cpu, err)
		}
	}
}
