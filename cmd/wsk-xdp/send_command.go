// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/payload"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	c := &cobra.Command{
		Use:   "send DST:PORT",
		Short: "Send one or a few datagrams and report on every IRP",
		Long: lines("Sends datagrams one after another and reports, for each IRP, its NTSTATUS, the bytes sent and the time from",
			"WskSendTo to completion. The first one includes looking up the neighbour. Exit code 1 if any IRP fails."),
		Example: lines("  wsk-xdp send 10.77.0.2:9000 --payload text:hello",
			"  wsk-xdp send [fd77::2]:9000 -n 5 --size 1400 --dscp 46 --ttl 3 --require afxdp",
			"  wsk-xdp send 10.77.0.2:9000 --payload @big.bin --segment 1200 --json"),
		Args: oneDestination,
		RunE: func(c *cobra.Command, args []string) error {
			h, err := f.check(c.Context(), args[0])
			if err != nil {
				return err
			}
			body, err := payload.Make(f.payload, f.size, a.stdin)
			if err != nil {
				return exit.Usagef("%w", err)
			}
			if err := h.checkPayload(f.largest(len(body))); err != nil {
				return err
			}
			if f.way.via != "" {
				return f.way.checkVia(a, func() error { return a.sendVia(c.Context(), &f, h, body) })
			}
			return a.withNetNS(func(ns *netns.NS) error { return a.send(c.Context(), &f, h, body, ns) })
		},
	}
	f.timeout = 10 * time.Second
	fl := c.Flags()
	fl.SortFlags = false
	fl.IntVarP(&f.count, "count", "n", 1, "number of datagrams")
	fl.StringVar(&f.payload, "payload", "text:hello from wsk-xdp", "`form`: "+payload.Forms)
	fl.IntVar(&f.size, "size", -1, "repeat or cut the payload to this many bytes")
	fl.IntVar(&f.segment, "segment", 0, "UDP_SEND_MSG_SIZE: cut each payload into datagrams of this many bytes (USO)")
	fl.Var((*units.Duration)(&f.timeout), "timeout", "cancel an IRP that has not completed by then")
	f.way.add(fl)
	fl.StringVar(&f.way.via, "via", "", "`daemon[=PATH]`: send through the daemon that has the queues, whose socket is at PATH")
	fl.BoolVar(&f.json, "json", false, "one JSON document (wsk-xdp.send/1) instead of the table")
	fl.Lookup("size").DefValue = "0"
	return c
}
