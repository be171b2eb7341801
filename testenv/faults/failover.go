// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"errors"
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// failOverLimit bounds waits that take milliseconds. A datagram that waits for the link waits for ever, since it stays down for as long.
const failOverLimit = 10 * time.Second

// twentyFailOvers takes the first link down until nothing that was begun before waits any more and datagrams come by the second; then
// the first carries again.
func twentyFailOvers(w *world) error {
	mac := w.lab.B.If.MAC()
	for _, i := range []*testenv.Iface{w.lab.B.If, w.second[1]} {
		// Where that can't be, what changes places may do so at the receiver: see promptInOrder.
		if err := i.ReceiveInOrder(); err != nil && !errors.Is(err, testenv.ErrNotSupported) {
			return err
		}
	}
	flow := w.main.book.Flow
	n := 0
	return times(20, func() error {
		n++
		begun := uint64(w.main.book.Len())
		err := poll(failOverLimit, "datagrams by the first link", func() bool {
			return w.main.got.Reached(flow, begun) && w.leadsThrough(w.lab.A.If.Name())
		})
		if err != nil {
			return err
		}
		if err := w.lab.A.If.SetDown(); err != nil {
			return err
		}
		begun = uint64(w.main.book.Len())
		err = poll(failOverLimit, "", func() bool { return w.main.book.Oldest() >= begun && w.main.got.Reached(flow, begun) })
		if err != nil {
			return fmt.Errorf("fail-over %d, the first link stays down: datagram %d of %d has not ended, arrived since: %v", n,
				w.main.book.Oldest(), begun, w.main.got.Reached(flow, begun))
		}
		// Nobody has to be asked for, so that the link carries at once.
		return steps(w.lab.A.If.StartUp, func() error { return w.lab.A.If.SetNeighbour(viaB1, mac) },
			func() error { return w.route(w.lab.A.If, viaB1, 10) })
	})()
}

// leadsThrough reports whether all that the datapath sends leaves by an interface.
func (w *world) leadsThrough(ifname string) bool {
	for _, f := range w.dp.Flows() {
		if f.Interface != ifname {
			return false
		}
	}
	return true
}

// failOverWait is how long a send may be pending while its link goes down and another carries.
const failOverWait = time.Second

// promptInOrder is what datagrams of one flow have to be: none waits long for its end, and where the receiver keeps their order none has
// changed places.
func promptInOrder(w *world) error {
	if n := w.main.got.Reordered(w.main.book.Flow); n > 0 && w.second[1].ReceiveInOrder() == nil {
		return fmt.Errorf("%d datagrams came behind a later one", n)
	}
	if d := w.main.book.LongestWait(); d > testenv.Patience(failOverWait) {
		return fmt.Errorf("a send was pending for %v", d.Round(time.Millisecond))
	}
	return nil
}
