// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) pingCommand() *cobra.Command {
	f := pingFlags{rate: units.PacketsPerSecond(defaultPingRate), timeout: units.Duration(defaultPingTimeout)}
	c := &cobra.Command{
		Use:   "ping DST:PORT",
		Short: "Measure round trips by a schedule",
		Long: lines("Sends numbered datagrams to a wsk-xdp echo at a rate, 1000 a second unless told otherwise, and measures how long the answers take",
			"from the time that each ping was due: what waited because the sender, the way or the echo stood still has waited, and shows.",
			"A ping whose answer takes longer than --timeout is late, one without an answer is lost. Engine udp is the kernel's socket and",
			"needs no privilege. Exit code 1 if nothing was answered. See docs/cli.md."),
		Example: lines("  wsk-xdp ping 10.77.0.2:9000 -r 1k -d 4s", "  wsk-xdp ping [fd77::2]:9000 -c 5 -r 1 --engine udp",
			"  wsk-xdp ping 10.77.0.2:9000 --under-load 200k --json > ping.json"),
		Args: oneDestination,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := f.check(c.Context(), args[0])
			if err != nil {
				return err
			}
			if f.way.via != "" {
				if f.engine == "udp" {
					return exit.Usagef("--via and --engine udp: the daemon has no such engine")
				}
				return f.way.checkVia(a, func() error { return a.ping(c.Context(), &f, h, nil) })
			}
			return a.withNetNS(func(ns *netns.NS) error { return a.ping(c.Context(), &f, h, ns) })
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.VarP(&f.rate, "rate", "r", "pings a second: 1k, 0.5, 20k")
	fl.VarP(&f.duration, "duration", "d", "end after this time, 0: when stopped (default 10s without --count)")
	fl.VarP(&f.count, "count", "c", "end after so many pings (default: no limit)")
	fl.Var(&f.underLoad, "under-load", "send so many packets a second of blast to the same port besides: 200k, or max")
	fl.Var(&f.timeout, "timeout", "an answer that takes longer is late; for so long the last ones are waited for")
	fl.VarP(&f.size, "size", "s", "frame size with FCS (default 64, for IPv6 84)")
	fl.IntVar(&f.payloadSize, "payload-size", -1, "UDP payload size instead; above the MTU it is fragmented")
	fl.StringVar(&f.engine, "engine", "wsk", "a WSK socket over AF_XDP, or the kernel's: `wsk|udp`")
	f.way.add(fl)
	fl.StringVar(&f.way.via, "via", "", "`daemon[=PATH]`: send through the daemon that has the queues, whose socket is at PATH")
	fl.BoolVar(&f.out.force, "force", false, "more than 100k a second, load and all, even where others suffer (ssh, default route); overwrite a file")
	f.out.add(a, fl, ping.Schema)
	for _, name := range []string{"payload-size", "count", "duration", "under-load"} {
		fl.Lookup(name).DefValue = "0"
	}
	return c
}
