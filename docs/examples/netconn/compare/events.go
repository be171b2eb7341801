// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/docs/examples/netconn/trial"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// event is something that happens on a network, and what is timed of a program that meets it.
type event struct {
	what     string
	rounds   int
	topology testenv.Topology
	judged   bool // A has the sockets of package net in every round
	f        func(ctx context.Context, lab *testenv.Lab, a, b *trial.End) (time.Duration, error)
}

var routed = testenv.Topology{Shape: testenv.Routed, NoIPv6: true}

var allEvents = []event{
	{"quic-go, " + trial.NoCarrier.Name + ": until the transfer ends", 9, routed, false, through(trial.NoCarrier)},
	{"quic-go, " + trial.Mute.Name + ": until the transfer ends", 3, routed, false, through(trial.Mute)},
	{"miekg/dns at a secondary address: its first answer, to `net`", 9, testenv.Topology{}, true, secondary(1)},
	{"miekg/dns at a secondary address: 1000 answers, to `net`", 9, testenv.Topology{}, true, secondary(1000)},
	{"pion/ice, three dead candidates: until connected", 9, testenv.Topology{}, false,
		func(ctx context.Context, _ *testenv.Lab, a, b *trial.End) (time.Duration, error) {
			return trial.ICE(ctx, a, b, addresses[:]...)
		}},
	{"memberlist, two hosts gone: until both are missed", 15, testenv.Topology{}, false,
		func(ctx context.Context, _ *testenv.Lab, a, b *trial.End) (time.Duration, error) {
			return trial.Memberlist(ctx, a, b, addresses)
		}},
}

func through(o trial.Outage) func(context.Context, *testenv.Lab, *trial.End, *trial.End) (time.Duration, error) {
	return func(ctx context.Context, lab *testenv.Lab, a, b *trial.End) (time.Duration, error) {
		return trial.QUICThrough(ctx, lab, a, b, o)
	}
}

// secondary asks a server on a wildcard so many times at an address that the host has beside its first.
func secondary(times int) func(context.Context, *testenv.Lab, *trial.End, *trial.End) (time.Duration, error) {
	return func(ctx context.Context, lab *testenv.Lab, a, b *trial.End) (time.Duration, error) {
		if err := lab.B.If.AddAddr(netip.PrefixFrom(addresses[0], 24)); err != nil {
			return 0, err
		}
		var begun time.Time
		err := trial.DNS(ctx, a, b, addresses[:1], 1, times, func() { begun = time.Now() })
		return time.Since(begun), err
	}
}

// limit ends a trial that does not end itself.
const limit = 20 * time.Second

// events prints how long each side takes to get over each event, the sides in turn.
func events(ctx context.Context, rounds int, row string) error {
	fmt.Printf("\n%s; load %s; medians, the sides in turn; milliseconds\n\n", processor(), load())
	fmt.Println("| | `net` | `wsknet` | ratio | all of `net` | all of `wsknet` |\n|---|---|---|---|---|---|")
	for _, e := range allEvents {
		if !strings.Contains(e.what, row) {
			continue
		}
		var took [2][]time.Duration
		for range min(rounds, e.rounds) {
			for i, kind := range []trial.Kind{trial.Net, trial.Stack} {
				d, err := e.once(ctx, kind)
				if err != nil {
					return fmt.Errorf("%s, %v: %w", e.what, kind, err)
				}
				took[i] = append(took[i], d)
			}
		}
		net, wsk := median(took[0]), median(took[1])
		fmt.Printf("| %s | %s | %s | %.2f | %s | %s |\n", e.what, ms(net), ms(wsk),
			float64(wsk)/float64(net), list(took[0]), list(took[1]))
	}
	return nil
}

func (e event) once(ctx context.Context, kind trial.Kind) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	near := kind
	if e.judged {
		near = trial.Net
	}
	err = lab(e.topology, near, kind, func(lab *testenv.Lab, a, b *trial.End) (err error) {
		took, err = e.f(ctx, lab, a, b)
		return err
	})
	return took, err
}

// ms is a duration in milliseconds.
func ms(d time.Duration) string {
	if d > 100*time.Millisecond {
		return fmt.Sprint(d.Milliseconds())
	}
	return fmt.Sprintf("%.3g", float64(d)/float64(time.Millisecond))
}

func list(all []time.Duration) string {
	var b strings.Builder
	for i, d := range all {
		if i > 0 {
			b.WriteString(" · ")
		}
		b.WriteString(ms(d))
	}
	return b.String()
}
