// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"slices"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
)

// Config says what to measure.
type Config struct {
	check.Trial
	// Engines are names; see [Engines].
	Engines []string
	// Sender is xdp or wsk-batch.
	Sender string
	// Rates are datagrams per second to offer, one comparison each; 0 is as many as the sender can. Only xdp keeps to a
	// rate.
	Rates []int
	// Unpinned lets the scheduler choose the CPUs.
	Unpinned bool

	// Child is the command line that starts a child; the name of the part is appended.
	Child []string
	// Progress is called for every run, from the calling goroutine. nil: not called.
	Progress func(Progress)
}

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
	check.Choice
	open func(t *task, count func(n int)) (receiver, error)
	busy bool
}

// engines in the order of reports.
var engines = []engine{
	{check.Called("event", "WskReceiveFromEvent over AF_XDP"), openEvent, false},
	{check.Called("event-busy", "the same with busy polling"), openEvent, true},
	{check.Called("from", "WskReceiveFrom over AF_XDP, 256 IRPs waiting"), openFrom, false},
	{check.Called("netconn", "the same through netconn.Conn, one ReadFromUDPAddrPort per datagram"), openNetconn, false},
	{check.Called("recvmmsg", "recvmmsg(2) of 64 on a kernel socket"), openRecvmmsg, false},
	{check.Called("udp", "net.UDPConn, one ReadFromUDPAddrPort per datagram"), openConn, false},
}

// Reference is the engine that ratios refer to.
const Reference = "recvmmsg"

// Engines are the names of the engines there are.
func Engines() []string { return check.Names(engines) }

// Summary describes an engine in a few words.
func Summary(name string) string { return check.Summary(engines, name) }

func find(name string) *engine { return check.Find(engines, name) }

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var p check.Problems
	p.Names("engine", c.Engines, Engines())
	if !slices.Contains(Senders(), c.Sender) {
		p.Addf("sender %q is none of %s", c.Sender, strings.Join(Senders(), ", "))
	}
	p.Size(c.Size)
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
