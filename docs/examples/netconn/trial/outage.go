// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Outage is what happens between A and its next hop, in a laboratory with a router.
type Outage struct {
	Name       string
	For        time.Duration
	begin, end func(*testenv.Lab) error
}

var (
	// NoCarrier has the link of A without a carrier.
	NoCarrier = Outage{
		"no carrier for 1 s", time.Second,
		func(lab *testenv.Lab) error { return lab.Router.A.SetDown() },
		func(lab *testenv.Lab) error { return lab.Router.A.StartUp() },
	}
	// Mute has the router answer no ARP, and A ask for it.
	Mute = Outage{
		"next hop mute for 4 s", 4 * time.Second,
		func(lab *testenv.Lab) error {
			return errors.Join(lab.Router.A.Silence(), lab.A.If.DeleteNeighbour(gateway))
		},
		func(lab *testenv.Lab) error { return lab.Router.A.Speak() },
	}
	gateway = netip.MustParseAddr("10.77.0.254")
)

// QUICThrough is QUIC with 4 MiB and an outage in the middle. It returns how long the rest took from the outage on.
func QUICThrough(ctx context.Context, lab *testenv.Lab, a, b *End, o Outage) (took time.Duration, err error) {
	var begun time.Time
	ended := make(chan error, 1)
	err = QUIC(ctx, a, b, 4<<20, func() {
		begun = time.Now()
		if err := o.begin(lab); err != nil {
			ended <- err
			return
		}
		time.AfterFunc(o.For, func() { ended <- o.end(lab) })
	})
	if begun.IsZero() {
		return 0, err
	}
	took = time.Since(begun)
	err = errors.Join(err, <-ended)
	if err == nil && took < o.For {
		err = errors.New("the transfer ended before the outage did")
	}
	return took, err
}
