// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// frameFaults are about how frames travel: in pieces, held up, through a peer that changes how it takes them.
func frameFaults() []*Fault {
	large := func(p *account.Plan) { p.MaxSize, p.Rate = 6000, 1500 }
	var out []*Fault
	for _, f := range []Fault{
		{Name: "carrier flaps, fragments", plan: large, About: "Datagrams of up to 6000 bytes; the other end goes down and up five times.",
			do: func(w *world) error {
				return times(5, func() error {
					return steps(w.lab.B.If.SetDown, lasting(10*time.Millisecond), w.lab.B.If.SetUp, lasting(20*time.Millisecond))
				})()
			}},
		{Name: "MTU changes, fragments", plan: large, About: "Datagrams of up to 6000 bytes; the MTU goes down and up five times.",
			do: func(w *world) error {
				return times(5, func() error {
					return steps(func() error { return errors.Join(w.lab.A.If.SetMTU(900), w.lab.B.If.SetMTU(900)) }, lasting(30*time.Millisecond),
						func() error { return errors.Join(w.lab.B.If.SetMTU(1500), w.lab.A.If.SetMTU(1500)) }, lasting(30*time.Millisecond))
				})()
			}},
		{Name: "another datapath comes and goes", harmless: true, About: "Another datapath on the same interface opens and closes four times.",
			do: func(w *world) error {
				return times(4, func() error {
					o := datapath.Options{NetNS: w.lab.A.NS.FD(), Interfaces: []string{w.lab.A.If.Name()}}
					other, err := datapath.Open(o)
					if err != nil {
						return nil // the queue is taken, which is what it is to say
					}
					return other.Close()
				})()
			}},
		{Name: "offloads change", harmless: true, About: "Checksum and receive offload of both ends are turned on and off five times.",
			do: func(w *world) error {
				toggle := func(on bool) func() error {
					return func() error {
						return errors.Join(w.lab.A.If.SetFeature("tx-checksum-ip-generic", on), w.lab.A.If.SetFeature("rx-gro", on),
							w.lab.B.If.SetFeature("tx-checksum-ip-generic", on), w.lab.B.If.SetFeature("rx-gro", on))
					}
				}
				return times(5, func() error {
					return steps(toggle(true), lasting(20*time.Millisecond), toggle(false), lasting(20*time.Millisecond))
				})()
			}},
		{Name: "two queues, link flaps", topology: twoQueues, options: func(o *datapath.Options) { o.Queues = 2 },
			About: "Two queues; the interface goes down and up five times.", do: func(w *world) error {
				return times(5, func() error { return steps(w.lab.A.If.SetDown, lasting(20*time.Millisecond), w.lab.A.If.SetUp) })()
			}},
	} {
		out = append(out, both(f)...)
	}
	return append(out, heldFaults()...)
}

// heldFaults hold up what is sent, or let it meet a smaller MTU on its way.
func heldFaults() []*Fault {
	hold := func(d time.Duration) func(*world) error {
		return func(w *world) error {
			h, err := w.lab.B.If.HoldReceive(w.lab.A.If)
			if err != nil {
				return err
			}
			wait(d)
			return errors.Join(h.Release(), h.Drop())
		}
	}
	return []*Fault{
		{Name: "completions held", Dir: Send, harmless: true, do: hold(500 * time.Millisecond),
			About: "What the other end receives waits for 0.5 s, and so do the completions."},
		{Name: "completions held, given up", Dir: Send, do: hold(1500 * time.Millisecond),
			options: func(o *datapath.Options) { o.StallTimeout = 200 * time.Millisecond },
			About:   "Completions stay out for 1.5 s, where 0.2 s are taken for lost."},
		{Name: "peer's XDP comes and goes", Dir: Send, harmless: true, do: peerProgram,
			About: "The other end attaches an XDP program and takes it off, ten times."},
		{Name: "path MTU down", Dir: Send, topology: routed, About: "The link behind the router gets an MTU of 600 and 1500 again.",
			do: func(w *world) error {
				set := func(mtu int) func() error {
					return func() error { return errors.Join(w.lab.Router.B.SetMTU(mtu), w.lab.B.If.SetMTU(mtu)) }
				}
				return steps(set(600), lasting(200*time.Millisecond), set(1500))
			}},
	}
}

func twoQueues(t *testenv.Topology) { t.A.TX, t.A.RX, t.B.TX, t.B.RX = 2, 2, 2, 2 }

func peerProgram(w *world) error {
	return times(10, func() error {
		c, err := testenv.NewDropCounter(w.lab.B.If, testenv.DropCounterOptions{Pass: true})
		if err != nil {
			return err
		}
		wait(10 * time.Millisecond)
		return c.Close()
	})()
}
