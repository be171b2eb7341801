// SPDX-License-Identifier: Apache-2.0

// Compare runs the programs of the module with the sockets of package net at both ends and with those of package wsknet
// at both, in turn, between network namespaces that it makes. It prints how they get over what happens on a network, and
// how fast and with how much of the processor they move data. It needs root.
//
//	sudo go run ./compare          # both, less than four minutes
//	sudo go run ./compare events   # one of them
//	sudo go run ./compare rates
//	sudo go run ./compare -row carrier events # the rows with that word
//
// Rates say nothing while others use the processors: it prints the load with them.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/docs/examples/netconn/trial"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func main() {
	rounds := flag.Int("rounds", 15, "how often each side has its turn at most; less where the time is up")
	one := flag.String("one", "", "for itself: run one trial with the sockets of a kind, as in 'quic,wsknet', and print its figures")
	ask := flag.String("ask", "", "for itself: ask the DNS server at an address, with sockets of package net")
	row := flag.String("row", "", "only the rows in whose text this is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *one, *ask, *row, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, one, ask, row string, parts []string) error {
	switch {
	case one != "":
		return child(ctx, one)
	case ask != "":
		return asking(ctx, ask)
	}
	if len(parts) == 0 {
		parts = []string{"events", "rates"}
	}
	for _, part := range parts {
		var err error
		switch part {
		case "events":
			err = events(ctx, rounds, row)
		case "rates":
			err = rates(ctx, rounds, row)
		default:
			err = fmt.Errorf("there is no part %q: events, rates", part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// kindOf is the kind of wsknet's sockets that a trial has.
var kindOf = map[string]trial.Kind{"net": trial.Net, "wsknet": trial.Stack, "xdp": trial.XDP}

// lab runs f with an end of either host of a laboratory.
func lab(topology testenv.Topology, near, far trial.Kind, f func(lab *testenv.Lab, a, b *trial.End) error) error {
	l, err := testenv.NewLab(topology)
	if err != nil {
		return err
	}
	defer l.Close()
	a, err := trial.At(l.A, near)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := trial.At(l.B, far)
	if err != nil {
		return err
	}
	defer b.Close()
	return f(l, a, b)
}

// addresses nobody has on the link at first.
var addresses = [3]netip.Addr{
	netip.MustParseAddr("10.77.0.201"), netip.MustParseAddr("10.77.0.202"), netip.MustParseAddr("10.77.0.203"),
}

// median is the middle of what was measured.
func median[T time.Duration | float64](all []T) T {
	s := slices.Sorted(slices.Values(all))
	return s[len(s)/2]
}

// processor names the machine, and load what others do on it.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	model := "unknown processor"
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	n := strings.Count(string(text), "processor\t:")
	release, _ := exec.Command("uname", "-r").Output()
	return fmt.Sprintf("%s, %d processors, Linux %s", model, n, strings.TrimSpace(string(release)))
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
