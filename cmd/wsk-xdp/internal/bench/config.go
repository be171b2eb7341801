// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
)

// DefaultEngines are those that people would choose between.
func DefaultEngines() []string {
	return slices.DeleteFunc(Names(), func(n string) bool { return n == "sendmmsg-raw" || n == "frames" || n == "xdp" })
}

// Config says what to compare.
type Config struct {
	// Engines are names of ours, Externals programs of others.
	Engines   []string
	Externals []External
	// Sizes are frame sizes in bytes with FCS, one comparison each.
	Sizes []int
	// Queues is the number of transmit queues, and of goroutines that send.
	Queues int
	// Destinations is the number of addresses to send to. Laboratory only.
	Destinations int
	// MTUs are those of the laboratories that the engines run in, one after the other in each round; empty: 1500, or what the largest size
	// needs. In the second and further ones engines are called NAME@MTU. Laboratory only.
	MTUs []int
	Runs int
	// Duration is how long the counted window is open, Warmup the time before it.
	Duration, Warmup time.Duration
	// Pin are the CPUs of sending threads, in turn; nil: none is pinned.
	Pin []int

	// Interface and To leave the laboratory: send through this interface to these destinations. Both or none.
	Interface string
	To        []netip.AddrPort
	// NetNS is the namespace of Interface, nil for the process's own.
	NetNS *netns.NS
	// Force is whether it is sent even where others would suffer from it.
	Force bool

	// Child is the command line that starts a child of ours.
	Child []string
	// Progress is called for every run, from the calling goroutine. nil: not called.
	Progress func(Progress)
	// Warn receives whatever casts doubt on a result. nil: discarded.
	Warn func(string)
}

// External is another program's sender.
type External struct {
	Name string
	// Command is for the shell, with {if}, {duration}, {frame}, {queues} and {cpu} still in it.
	Command string
}

// ParseExternal parses name=command.
func ParseExternal(s string) (External, error) {
	name, command, ok := strings.Cut(s, "=")
	e := External{Name: strings.TrimSpace(name), Command: strings.TrimSpace(command)}
	switch {
	case !ok || e.Name == "" || e.Command == "":
		return e, fmt.Errorf("%q is not name=command, as in 'c=./xsk_tx -i {if} -l {frame} -t {duration}'", s)
	case find(e.Name) != nil:
		return e, fmt.Errorf("the name %s is that of an engine: choose another", e.Name)
	}
	return e, nil
}

// Limits.
const (
	maxDestinations = 250
	maxSize         = 65535 + 18
)

// Check reports everything that is wrong with a configuration.
func (c *Config) Check() error {
	var p check.Problems
	seen := map[string]bool{}
	for _, name := range c.Engines {
		if find(name) == nil {
			p.Addf("engine %q is none of %s", name, strings.Join(Names(), ", "))
		}
		if seen[name] {
			p.Addf("engine %s is given twice", name)
		}
		seen[name] = true
	}
	for _, e := range c.Externals {
		if seen[e.Name] {
			p.Addf("external %s is given twice", e.Name)
		}
		seen[e.Name] = true
	}
	if len(seen) == 0 {
		p.Addf("no engine to run")
	}
	if len(c.Sizes) == 0 {
		p.Addf("no frame size")
	}
	for i, size := range c.Sizes {
		if slices.Contains(c.Sizes[:i], size) {
			p.Addf("size %d is given twice", size)
		}
		if _, err := blast.PayloadOfFrame(true, size); err != nil {
			p.Addf("size %d: %w", size, err)
		} else if size > maxSize {
			p.Addf("size %d is above %d", size, maxSize)
		}
	}
	if c.Queues < 1 || c.Queues > 64 {
		p.Addf("%d queues is outside 1..64", c.Queues)
	}
	if c.Destinations < 1 || c.Destinations > maxDestinations {
		p.Addf("%d destinations is outside 1..%d", c.Destinations, maxDestinations)
	}
	p.Runs(c.Runs)
	p.Times(c.Duration, c.Warmup)
	for _, cpu := range c.Pin {
		if cpu < 0 || cpu > 1023 {
			p.Addf("CPU %d is outside 0..1023", cpu)
		}
	}
	for i, mtu := range c.MTUs {
		switch {
		case mtu < 68 || mtu > maxSize-18:
			p.Addf("MTU %d is outside 68..%d", mtu, maxSize-18)
		case slices.Contains(c.MTUs[:i], mtu):
			p.Addf("MTU %d is given twice", mtu)
		case c.Interface != "":
			p.Addf("an interface has its own MTU")
		}
	}
	if (c.Interface == "") != (len(c.To) == 0) {
		p.Addf("an interface needs destinations, and destinations an interface")
	}
	if c.Interface != "" && c.Destinations != 1 {
		p.Addf("the number of destinations on an interface is that of those given")
	}
	for _, ap := range c.To {
		if !ap.Addr().Is4() || ap.Port() == 0 || ap.Addr().IsUnspecified() || ap.Addr().IsMulticast() {
			p.Addf("destination %v is no IPv4 unicast address with a port", ap)
		}
	}
	return p.Err()
}

func (c *Config) warn(format string, args ...any) {
	if c.Warn != nil {
		c.Warn(fmt.Sprintf(format, args...))
	}
}
