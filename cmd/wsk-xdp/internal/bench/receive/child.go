// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
)

// task is what a receiver is told.
type task struct {
	Engine    string
	Interface string
	Local     netip.AddrPort
	Payload   int
	Busy      bool
	BusyPoll  time.Duration
}

// event is "ready" when it begins, and "done" at the end.
type event struct {
	Event string `json:"event"`
	// Wrong is the number of datagrams that nobody has sent.
	Wrong uint64 `json:"wrong"`
}

const (
	eventReady = "ready"
	eventDone  = "done"
)

// wrong counts datagrams that are not what was sent.
var wrong atomic.Uint64

// look is what each engine does with a payload: it reads what an application would have to read first. It reports
// whether the datagram is one of ours.
func look(payload []byte, size int) bool {
	if len(payload) != size || payload[0] != 0 || payload[7] != 7 {
		wrong.Add(1)
		return false
	}
	return true
}

// Receive is the program of the child that receives. Descriptor 3 is its counter.
func Receive(stdin io.Reader, stdout io.Writer) error {
	var t task
	out, end, err := proc.Serve(stdin, stdout, &t)
	if err != nil {
		return err
	}
	e := find(t.Engine)
	if e == nil || t.Payload < 8 {
		return fmt.Errorf("no engine %q for %d bytes", t.Engine, t.Payload)
	}
	counter, err := proc.OpenCounter()
	if err != nil {
		return err
	}
	defer counter.Close()
	r, err := e.open(&t, func(n int) { counter.Add(uint64(n)) })
	if err != nil {
		return err
	}
	if err := out.Encode(event{Event: eventReady}); err != nil {
		return errors.Join(err, r.close())
	}
	<-end
	if err := r.close(); err != nil {
		return err
	}
	return out.Encode(event{Event: eventDone, Wrong: wrong.Load()})
}
