// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
)

// Config says what to measure.
type Config struct {
	check.Trial
	// Measures and Engines are names; see [Measures] and [Engines]. A pair that does not exist is left out.
	Measures, Engines []string
	// Interval is the pause between a reply and the next send; 0: none. Idle sends have idleInterval at least.
	Interval time.Duration
	// CPUs is where the two ends of a round trip run; see [Placements].
	CPUs string

	// Child is the command line that starts a child; the name of the part is appended.
	Child []string
	// Progress is called for every run, from the calling goroutine. nil: not called.
	Progress func(Progress)
}

// Placements are where the two ends of a round trip run: on a CPU each, so that each wake-up is that of an idle
// processor; both on the same, so that none is; or where the scheduler has them, which may be either and changes
// between runs.
func Placements() []string { return []string{apart, together, free} }

const (
	apart    = "apart"
	together = "together"
	free     = "free"
)

// place is the CPUs of the measuring end and of the echo, negative for any.
func place(placement string, cpus []int) (measure, echo int) {
	switch {
	case placement == free || len(cpus) == 0:
		return -1, -1
	case placement == together || len(cpus) == 1:
		return cpus[0], cpus[0]
	}
	return cpus[0], cpus[1]
}

// Measures are what can be measured.
func Measures() []string { return []string{roundTrip, idleSend, loadedSend, tail} }

const (
	roundTrip  = "round-trip"
	idleSend   = "idle-send"
	loadedSend = "loaded-send"
	tail       = "tail"
)

// engine is a way to send and receive.
type engine struct {
	check.Choice
	// busy engines burn a processor at each end.
	busy bool
	// ping and echo are the ends of a round trip, sender the sending end alone for the measures of sending.
	ping   func(t *task) (pinger, error)
	echo   func(t *task) (echoer, error)
	sender map[string]func(t *task, m *meter) error
}

// engines in the order of reports.
var engines = []engine{
	{Choice: check.Called("wsk", "WskSendTo and the receive event callback over AF_XDP"), ping: openWskPing, echo: openWskEcho,
		sender: map[string]func(*task, *meter) error{idleSend: wskIdle, loadedSend: wskLoaded, tail: wskTail}},
	{Choice: check.Called("wsk-busy", "the same with busy polling"), busy: true, ping: openWskPing, echo: openWskEcho},
	{Choice: check.Called("netconn", "netconn.Conn over AF_XDP"), ping: openNetconnPing, echo: openNetconnEcho},
	{Choice: check.Called("udp", "net.UDPConn"), ping: openConnPing, echo: openConnEcho,
		sender: map[string]func(*task, *meter) error{idleSend: udpIdle, loadedSend: udpLoaded}},
	{Choice: check.Called("udp-block", "a blocking socket, sendto(2) and recvfrom(2)"), ping: openRawPing, echo: openRawEcho},
	{Choice: check.Called("udp-busy", "a non-blocking socket that is asked again and again"), busy: true, ping: openRawPing, echo: openRawEcho},
}

// Reference is the engine that ratios refer to.
const Reference = "udp"

// Engines are the names of the engines there are.
func Engines() []string { return check.Names(engines) }

// Summary describes an engine in a few words.
func Summary(name string) string { return check.Summary(engines, name) }

func find(name string) *engine { return check.Find(engines, name) }

// measures reports whether the engine can be measured so.
func (e *engine) measures(what string) bool {
	return what == roundTrip || e.sender[what] != nil
}

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var p check.Problems
	p.Names("engine", c.Engines, Engines())
	p.Names("measure", c.Measures, Measures())
	p.Size(c.Size)
	if !slices.Contains(Placements(), c.CPUs) {
		p.Addf("placement %q is none of %s", c.CPUs, strings.Join(Placements(), ", "))
	}
	p.Runs(c.Runs)
	p.Times(c.Duration, c.Warmup)
	if c.Interval < 0 || c.Interval > time.Minute {
		p.Addf("interval %v is outside 0..1m", c.Interval)
	}
	p.BusyPoll(c.BusyPoll)
	return p.Err()
}
