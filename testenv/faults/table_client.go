// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/account"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

func testContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), testenv.Patience(callLimit))
}

func clientFaults() []*Fault {
	full := func(p *account.Plan) { p.Rate, p.Window = 0, 256 }
	return []*Fault{
		{Name: "cancel storm", Dir: Send, plan: full, About: "IRPs are cancelled at random for half a second, at full rate.", do: func(w *world) error {
			for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
				w.sender.Cancel(w.rand.IntN(w.plan.Window))
			}
			return nil
		}},
		{Name: "cancel storm, link down", Dir: Send, About: "IRPs are cancelled at random while the link is down.", do: func(w *world) error {
			return steps(w.lab.A.If.SetDown, func() error {
				for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
					w.sender.Cancel(w.rand.IntN(w.plan.Window))
				}
				return nil
			}, w.lab.A.If.SetUp)
		}},
		{Name: "socket closed under load", Dir: Send, plan: full, mortal: true, About: "The socket is closed at full rate.",
			do: func(w *world) error { return closeSocket(w.socket) }},
		{Name: "socket closed under load", Dir: Receive, mortal: true, About: "The socket is closed and opened five times while datagrams come.",
			do: func(w *world) error {
				return times(5, func() error { return errors.Join(w.replaceSocket(), lasting(20*time.Millisecond)()) })()
			}},
		{Name: "datapath closed under load", Dir: Send, plan: full, quiet: true, do: closeDatapath,
			About: "Datapath.Close while eight goroutines send to new destinations, at full rate."},
		{Name: "datapath closed under load", Dir: Receive, quiet: true, do: func(w *world) error { return w.closeDatapath() },
			About: "Datapath.Close while datagrams come."},
		{Name: "socket closed, link down", Dir: Send, mortal: true, About: "The socket is closed while its datagrams wait for the link.",
			do: func(w *world) error {
				return steps(w.lab.A.If.SetDown, lasting(50*time.Millisecond), func() error { return closeSocket(w.socket) }, w.lab.A.If.SetUp)
			}},
	}
}

// closeDatapath closes the datapath while others send through the socket to destinations that it has not seen. Their IRPs end too.
func closeDatapath(w *world) error {
	const senders, each = 8, 400
	var work sync.WaitGroup
	irps := make([]*wsk.IRP, senders*each)
	started := make(chan struct{}, len(irps))
	for g := range senders {
		work.Go(func() {
			for i := range each {
				irp := wsk.AllocateIRP()
				irps[g*each+i] = irp
				a := netip.AddrFrom4([4]byte{10, 77, 0, byte(2 + (g*each+i)%250)})
				to := wsk.NewSockaddr(netip.AddrPortFrom(a, uint16(20_000+g*each+i)))
				w.socket.SendTo(&wsk.Buf{Mdl: wsk.AllocateMDL([]byte("new")), Length: 3}, 0, to, nil, irp)
				started <- struct{}{}
			}
		})
	}
	for range 50 {
		<-started
	}
	err := w.closeDatapath()
	work.Wait()
	pending := 0
	for _, irp := range irps {
		if e := await("send", irp); e != nil && irp.IoStatus.Status == wsk.STATUS_PENDING {
			if pending++; pending > 3 {
				break // each has been waited for
			}
		}
	}
	if pending > 0 {
		err = errors.Join(err, fmt.Errorf("%d or more IRPs are pending after Datapath.Close", pending))
	}
	return err
}

func sixFaults() []*Fault {
	var out []*Fault
	for _, f := range append(linkFaults(), neighbourFaults()...) {
		switch f.Name {
		case "carrier flaps", "neighbour deleted", "neighbour changes its address":
			six := *f
			six.Name += ", IPv6"
			six.six = true
			out = append(out, &six)
		}
	}
	return out
}
