// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
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
func Engines() []string { return check.Names(engines) }

// Summary describes an engine in a few words.
func Summary(name string) string { return check.Summary(engines, name) }

// Name is what the engine is called by.
func (e engine) Name() string { return e.name }

// Summary describes it in a few words.
func (e engine) Summary() string { return e.summary }

func find(name string) *engine { return check.Find(engines, name) }

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var p check.Problems
	p.Names("engine", c.Engines, Engines())
	if !slices.Contains(Senders(), c.Sender) {
		p.Addf("sender %q is none of %s", c.Sender, strings.Join(Senders(), ", "))
	}
	if n, err := blast.PayloadOfFrame(true, c.Size); err != nil {
		p.Addf("size %d: %w", c.Size, err)
	} else if n < 8 || c.Size > 1518 {
		p.Addf("size %d is outside 64..1518", c.Size)
	}
	if len(c.Rates) == 0 {
		p.Addf("no rate")
	}
	for i, rate := range c.Rates {
		if rate < 0 || rate > 100e6 {
			p.Addf("rate %d is outside 0..100000000", rate)
		}
		if rate > 0 && c.Sender != senderXDP {
			p.Addf("sender %s keeps to no rate: only %s does", c.Sender, senderXDP)
		}
		if slices.Contains(c.Rates[:i], rate) {
			p.Addf("rate %d is given twice", rate)
		}
	}
	p.Runs(c.Runs)
	p.Times(c.Duration, c.Warmup)
	p.BusyPoll(c.BusyPoll)
	return p.Err()
}
