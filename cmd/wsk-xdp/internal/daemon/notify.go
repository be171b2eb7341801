// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells systemd, where there is one, on a goroutine of its own: a systemd that does not read its socket takes no
// message, and nothing here waits for it.
type notifier struct {
	states chan string
	over   chan struct{}

	mu     sync.Mutex
	closed bool
}

const (
	maxStates  = 64                     // that wait
	notifyTime = 200 * time.Millisecond // for them, at the end
)

func newNotifier(log *slog.Logger) *notifier {
	n := &notifier{states: make(chan string, maxStates), over: make(chan struct{})}
	go func() {
		defer close(n.over)
		for state := range n.states {
			_, err := sd.SdNotify(false, state)
			n.mu.Lock()
			if err != nil && !n.closed {
				log.Warn("tell systemd", "state", state, "err", err)
			}
			n.mu.Unlock()
		}
	}()
	return n
}

// tell hands over a state. While others wait there is no word for the watchdog: it is not to fill the room of what counts.
func (n *notifier) tell(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || state == sd.SdNotifyWatchdog && len(n.states) > 0 {
		return
	}
	select {
	case n.states <- state:
	default:
	}
}

// close is the end, for which systemd has notifyTime to read what waits.
func (n *notifier) close() {
	n.mu.Lock()
	n.closed = true
	close(n.states)
	n.mu.Unlock()
	late := time.NewTimer(notifyTime)
	defer late.Stop()
	select {
	case <-n.over:
	case <-late.C:
	}
}
