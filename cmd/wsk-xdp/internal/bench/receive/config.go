// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
)

// Config says what to measure.
type Config struct {
	// Engines are names; see [Engines].
	Engines []string
	// Sender is xdp or wsk-batch.
	Sender string
	// Size is the frame size in bytes with FCS.
	Size int
	// Rates are datagrams per second to offer, one comparison each; 0 is as many as the sender can. Only xdp keeps to others.
	Rates []int
	Runs  int
	// Duration is how long the counted window is open, Warmup the time before it.
	Duration, Warmup time.Duration
	// BusyPoll is how long engines that poll busily let the driver run at a time.
	BusyPoll time.Duration
	// Unpinned lets the scheduler choose the CPUs.
	Unpinned bool

	// Child is the command line that starts a child; the name of the part is appended.
	Child []string
	// Progress is called for every run, from the calling goroutine. nil: not called.
	Progress func(Progress)
}

// Defaults.
const (
	DefaultSize     = 64
	DefaultRuns     = 5
	DefaultDuration = time.Second
	DefaultWarmup   = 200 * time.Millisecond
	DefaultBusyPoll = 50 * time.Microsecond
)

// Senders are the ways to send.
func Senders() []string { return []string{senderXDP, senderBatch} }

const (
	senderXDP   = "xdp"
	senderBatch = "wsk-batch"
)

// receiver takes datagrams until it is closed.
type receiver interface{ close() error }

// engine is a way to receive.
type engine struct {
	name, summary string
	open          func(t *task, count func(n int)) (receiver, error)
	busy          bool
}

// engines in the order of reports.
var engines = []engine{
	{"event", "WskReceiveFromEvent over AF_XDP", openEvent, false},
	{"event-busy", "the same with busy polling", openEvent, true},
	{"from", "WskReceiveFrom over AF_XDP, 256 IRPs waiting", openFrom, false},
	{"netconn", "the same through netconn.Conn, one ReadFromUDPAddrPort per datagram", openNetconn, false},
	{"recvmmsg", "recvmmsg(2) of 64 on a kernel socket", openRecvmmsg, false},
	{"udp", "net.UDPConn, one ReadFromUDPAddrPort per datagram", openConn, false},
}

// Reference is the engine that ratios refer to.
const Reference = "recvmmsg"

// Engines are the names of the engines there are.
func Engines() []string {
	out := make([]string, len(engines))
	for i, e := range engines {
		out[i] = e.name
	}
	return out
}

// Summary describes an engine in a few words.
func Summary(name string) string {
	if e := find(name); e != nil {
		return e.summary
	}
	return ""
}

func find(name string) *engine {
	if i := slices.IndexFunc(engines, func(e engine) bool { return e.name == name }); i >= 0 {
		return &engines[i]
	}
	return nil
}

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, name := range c.Engines {
		if find(name) == nil {
			bad("engine %q is none of %s", name, strings.Join(Engines(), ", "))
		}
		if slices.Contains(c.Engines[:i], name) {
			bad("engine %s is given twice", name)
		}
	}
	if len(c.Engines) == 0 {
		bad("no engine")
	}
	if !slices.Contains(Senders(), c.Sender) {
		bad("sender %q is none of %s", c.Sender, strings.Join(Senders(), ", "))
	}
	if n, err := blast.PayloadOfFrame(true, c.Size); err != nil {
		bad("size %d: %w", c.Size, err)
	} else if n < 8 || c.Size > 1518 {
		bad("size %d is outside 64..1518", c.Size)
	}
	if len(c.Rates) == 0 {
		bad("no rate")
	}
	for i, rate := range c.Rates {
		if rate < 0 || rate > 100e6 {
			bad("rate %d is outside 0..100000000", rate)
		}
		if rate > 0 && c.Sender != senderXDP {
			bad("sender %s keeps to no rate: only %s does", c.Sender, senderXDP)
		}
		if slices.Contains(c.Rates[:i], rate) {
			bad("rate %d is given twice", rate)
		}
	}
	if c.Runs < 1 || c.Runs > 1000 {
		bad("%d runs is outside 1..1000", c.Runs)
	}
	if c.Duration < 10*time.Millisecond || c.Duration > time.Hour {
		bad("duration %v is outside 10ms..1h", c.Duration)
	}
	if c.Warmup < 0 || c.Warmup > time.Minute {
		bad("warm-up %v is outside 0..1m", c.Warmup)
	}
	if c.BusyPoll < time.Microsecond || c.BusyPoll > time.Millisecond {
		bad("busy polling of %v is outside 1µs..1ms", c.BusyPoll)
	}
	return errors.Join(errs...)
}
