// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
)

// task is what a child is told to do.
type task struct {
	Engine, Measure string
	Interface       string
	// Local is where this end receives, Peer where it sends.
	Local, Peer netip.AddrPort
	Payload     int
	// Busy is whether to poll busily.
	Busy bool

	Warmup, Duration, Interval, BusyPoll time.Duration

	end <-chan struct{}
}

// event is what a child says: "ready" when it receives, and "done" with its figures.
type event struct {
	Event   string       `json:"event"`
	Figures *percentiles `json:"figures,omitempty"`
}

const (
	eventReady = "ready"
	eventDone  = "done"
)

// stampLen is the bytes at the front of a payload that number it.
const stampLen = 8

func stamp(b []byte, seq uint64) { binary.LittleEndian.PutUint64(b, seq) }

// sequence is the number in a payload, and 0, which no datagram has, for one that is too short.
func sequence(b []byte) uint64 {
	if len(b) < stampLen {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// pinger is the measuring end of a round trip.
type pinger interface {
	// run exchanges datagrams until the meter is over.
	run(t *task, m *meter) error
	close() error
}

// echoer is the other end. It sends back until it is closed.
type echoer interface{ close() error }

// Echo is the program of the child that sends back.
func Echo(stdin io.Reader, stdout io.Writer) error {
	var t task
	out, end, err := proc.Serve(stdin, stdout, &t)
	if err != nil {
		return err
	}
	e := find(t.Engine)
	if e == nil {
		return fmt.Errorf("no engine %q", t.Engine)
	}
	x, err := e.echo(&t)
	if err != nil {
		return err
	}
	if err := out.Encode(event{Event: eventReady}); err != nil {
		return errors.Join(err, x.close())
	}
	<-end
	return x.close()
}

// Measure is the program of the child that takes the times.
func Measure(stdin io.Reader, stdout io.Writer) (err error) {
	var t task
	out, end, err := proc.Serve(stdin, stdout, &t)
	if err != nil {
		return err
	}
	e := find(t.Engine)
	if e == nil || !e.measures(t.Measure) || t.Payload < stampLen {
		return fmt.Errorf("no measure %q of engine %q with %d bytes", t.Measure, t.Engine, t.Payload)
	}
	t.end = end
	run := e.sender[t.Measure]
	if t.Measure == roundTrip {
		p, err := e.ping(&t)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.close()) }()
		run = p.run
	}
	if err := out.Encode(event{Event: eventReady}); err != nil {
		return err
	}
	m := newMeter(t.Warmup, t.Duration, samplePatience)
	if err := run(&t, m); err != nil {
		return err
	}
	figures := m.percentiles()
	if err := out.Encode(event{Event: eventDone, Figures: &figures}); err != nil {
		return err
	}
	<-end
	return nil
}

// stopped reports whether the parent wants the child to end.
func (t *task) stopped() bool {
	select {
	case <-t.end:
		return true
	default:
		return false
	}
}
