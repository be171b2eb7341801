// SPDX-License-Identifier: Apache-2.0

package footprint

import (
	"errors"
	"io"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
)

// task is what a child is told.
type task struct {
	Kind        string
	Interface   string
	Local, Peer netip.AddrPort
	Queues      int
}

// PartRest is the name that a child is started as.
const PartRest = "footprint"

// Rest is the program of the child: it opens, sends one datagram, says so, and rests.
func Rest(stdin io.Reader, stdout io.Writer) error {
	var t task
	out, end, err := proc.Serve(stdin, stdout, &t)
	if err != nil {
		return err
	}
	o, stop, err := open(&t)
	if err != nil {
		return err
	}
	if err := out.Encode(o); err != nil {
		return errors.Join(err, stop())
	}
	<-end
	return stop()
}
