// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
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

// TestReceiveCPUs: each receiving goroutine has a thread on the processor asked for while it runs, and no thread is
// left so after its end.
func TestReceiveCPUs(t *testing.T) {
	if runtime.NumCPU() == 1 {
		t.Log("with one processor every thread is bound to it")
		return
	}
	hub := newHub(t, fakeHost)
	hub.CPUs = []int{0, 1}
	in, _ := addIntake(t, hub)
	var sockets []*fakeRX
	for id := range 2 {
		sockets = append(sockets, newFakeRX(t, xdptest.Config{RxChunks: 16, TxChunks: 8, TxRing: 8}))
		start(t, NewQueue(in, id), sockets[id])
	}
	each := func(want int) bool { return threadsOn(t, "0") == want && threadsOn(t, "1") == want }
	eventually(t, "a thread on each processor", func() bool { return each(1) })
	for _, s := range sockets {
		s.End()
	}
	eventually(t, "the threads to end", func() bool { return each(0) })
}
