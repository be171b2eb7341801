// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) blastCommand() *cobra.Command {
	f := blastFlags{rate: units.PacketsPerSecond(defaultRate)}
	c := &cobra.Command{
		Use:   "blast DST:PORT",
		Short: "Send datagrams at a rate and measure",
		Long: lines("Sends datagrams at a rate, 100 kpps unless told otherwise; reports what was completed, arrived (--peer), latency, cost. See docs/cli.md.",
			"Engines wsk, frames, packet take CAP_NET_RAW and CAP_NET_ADMIN, xdp CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; the others nothing."),
		Example: lines("  wsk-xdp blast 10.77.0.2:9000 --engine frames --flows 1000 --src 10.1.0.0/16 -s imix -r 2.5Gbit --peer --json > run.json"),
		Args:    blastArguments,
		RunE: func(c *cobra.Command, args []string) error {
			args, err := a.fromFile(c, f.file, args)
			if err != nil {
				return err
			}
			f.defaults()
			h, err := f.check(c.Context(), args[0])
			if err != nil {
				return err
			}
			if f.way.via != "" {
				if f.engine != engineWSK {
					return exit.Usagef("--via and --engine %v: the daemon has no such engine", f.engine)
				}
				return f.way.checkVia(a, func() error { return a.blast(c.Context(), &f, h, nil) })
			}
			return a.withNetNS(func(ns *netns.NS) error {
				if f.look.dry {
					return a.blastDry(c.Context(), &f, h, ns)
				}
				if f.engine != engineWSK {
					return a.blastEngine(c.Context(), &f, h, ns)
				}
				return a.blast(c.Context(), &f, h, ns)
			})
		},
	}
	c.SetUsageTemplate(tallUsage)
	fl := c.Flags()
	fl.SortFlags = false
	fl.VarP(&f.rate, "rate", "r", "packets or bits a second, a share of the link, or max: 250k, 0.5, 10Gbit, 5%")
	fl.Var(&f.layer, "rate-layer", "what bits count: preamble and gap too (l1), frames with FCS (l2) or the payload")
	fl.VarP(&f.count, "count", "n", "end after so many packets: 250k, 10M (default: no limit)")
	fl.VarP(&f.duration, "duration", "d", "end after this time, 0: when stopped (default 10s without --count)")
	fl.VarP(&f.size, "size", "s", "frame sizes with FCS: 64 or 64,512,1518 or 64-1518 or imix (default 64, for IPv6 84)")
	fl.IntVar(&f.payloadSize, "payload-size", -1, "UDP payload size instead; above the MTU it is fragmented")
	fl.StringVar(&f.payload, "payload", "zero", "`form`, repeated to the size: "+payload.Forms)
	fl.Var(&f.engine, "engine", "`one` of wsk; frames, xdp, packet (any source); udp, sendmmsg, gso (kernel sockets)")
	f.flows.add(fl)
	f.ether.add(fl)
	f.timing.add(fl)
	fl.IntVar(&f.queues, "queues", 1, "transmit queues to spread the sockets over")
	fl.IntVar(&f.batch, "batch", 0, "packets per IRP or wake-up at most (default 1 of wsk and udp, else 64)")
	fl.IntVar(&f.inFlight, "in-flight", 0, "IRPs in flight at most (default 2048 packets' worth)")
	fl.Var(&f.stamp, "stamp", "number each packet in the first 18 bytes of its payload, or as the kernel's pktgen does")
	fl.BoolVar(&f.peer, "peer", false, "ask the wsk-xdp recv at DST:PORT what arrived: a report of both ends")
	f.way.add(fl)
	fl.StringVar(&f.way.via, "via", "", "`daemon[=PATH]`: send through the daemon that has the queues, whose socket is at PATH")
	f.look.add(fl)
	fl.StringVar(&f.file, "config", "", "flags by their names in a JSON `file`, or a report whose run is to be repeated; the command line wins")
	fl.Var(&f.failIf, "fail-if", "exit code 4 if one holds: loss>0.1%,pps<0.99*rate,p99>50us,slow_path>0")
	fl.BoolVar(&f.out.force, "force", false, "more than 100k frames a second even where others suffer (ssh, default route); overwrite files")
	f.out.add(a, fl, blast.Schema)
	_ = fl.MarkHidden("in-flight") // there is such a flag
	fl.Lookup("payload-size").DefValue = "0"
	fl.Lookup("count").DefValue = "0"
	fl.Lookup("duration").DefValue = "0"
	return c
}
