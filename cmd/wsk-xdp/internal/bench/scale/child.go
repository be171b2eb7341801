// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
)

// PartSend is the name that a child is started as.
const PartSend = "scale-send"

// burst is how many datagrams go between two looks at whether it is over.
const burst = 64

// Send is the program of the child: it sends until its standard input ends.
func Send(stdin io.Reader, stdout io.Writer) (err error) {
	var t task
	out, end, err := proc.Serve(stdin, stdout, &t)
	if err != nil {
		return err
	}
	e := check.Find(engines, t.Engine)
	if e == nil || t.Destinations < 1 || t.Sockets < 1 {
		return fmt.Errorf("a task for engine %q with %d destinations and %d sockets makes no sense", t.Engine, t.Destinations, t.Sockets)
	}
	begun := time.Now()
	s, err := e.open(&t)
	if err != nil {
		return err
	}
	done := event{Event: eventDone}
	defer func() {
		if err = errors.Join(err, s.end(&done)); err == nil {
			err = out.Encode(done)
		}
	}()
	if err := s.send(0, 0); err != nil {
		return err
	}
	done.Sent, done.First = 1, time.Since(begun)
	if err := out.Encode(event{Event: eventSending, First: done.First}); err != nil {
		return err
	}
	dice := newDice()
	for {
		select {
		case <-end:
			return nil
		default:
		}
		for range burst {
			if err := s.send(dice.below(t.Sockets), dice.below(t.Destinations)); err != nil {
				return err
			}
		}
		done.Sent += burst
		if err := s.rest(); err != nil {
			return err
		}
	}
}
