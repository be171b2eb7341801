// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/wsk/service"
)

// answerTime is how long the parts of the daemon may take to answer a question that takes them no time.
const answerTime = time.Second

// asker asks a part of the daemon that may hang. There is one question at a time, whoever waits for its answer, so that a
// part which hangs keeps one goroutine.
type asker[T any] struct {
	ask func() T

	mu    sync.Mutex
	under *question[T] // nil: none
}

type question[T any] struct {
	answer   T
	answered chan struct{}
}

// answer waits for the answer, at most answerTime.
func (a *asker[T]) answer() (answer T, ok bool) {
	a.mu.Lock()
	q := a.under
	if q == nil {
		q = &question[T]{answered: make(chan struct{})}
		a.under = q
		go func() {
			q.answer = a.ask()
			a.mu.Lock()
			a.under = nil
			a.mu.Unlock()
			close(q.answered)
		}()
	}
	a.mu.Unlock()
	timer := time.NewTimer(answerTime)
	defer timer.Stop()
	select {
	case <-q.answered:
		return q.answer, true
	case <-timer.C:
		return answer, false
	}
}

// look is what the server and the datapath count.
type look struct {
	answered   bool
	statistics service.Statistics
	info       datapath.Info
}
