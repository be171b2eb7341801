// SPDX-License-Identifier: Apache-2.0

package send

import (
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// maxWorkers is how many goroutines do the jobs of a kind of a host at most. A job may have the kernel asked, and may run completion
// routines, but waits for nobody; that of an opener waits, for a moment.
const maxWorkers = 8

// workers does jobs, in the order in which they came, on a few goroutines that live while there are any. The zero value is ready.
type workers struct {
	mu          lockrank.Mutex[locks.WorkersMu]
	first, last *job
	running     int
}

// job is something to do. It is in one place at a time: nobody adds it again before it has begun to run.
type job struct {
	run  func()
	next *job
}

// add has a job done by one of the goroutines, and starts another with goRun if that helps. It never blocks.
func (w *workers) add(j *job, goRun func(func())) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.first = j
	} else {
		w.last.next = j
	}
	w.last = j
	if w.running < maxWorkers {
		w.running++
		goRun(w.loop) // with the lock held: what it does is counted before anybody can wait for its end
	}
}

func (w *workers) loop() {
	for j := w.take(); j != nil; j = w.take() {
		j.run()
	}
}

// take is the next job; nil ends the goroutine that asks.
func (w *workers) take() *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.first
	if j == nil {
		w.running--
		return nil
	}
	if w.first = j.next; w.first == nil {
		w.last = nil
	}
	j.next = nil
	return j
}
