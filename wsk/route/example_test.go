// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// The way of a datagram, from the destination to the frame's addresses, and how long it is good for.
func Example() {
	table, err := route.Open(route.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer table.Close()

	ctx := context.Background()
	generation := table.Generation() // first
	hop, err := table.Resolve(ctx, route.Query{Dst: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		fmt.Println(err)
		return
	}
	if hop.Kind == route.Unicast {
		mac, err := table.Neighbour(ctx, hop.Interface, hop.Gateway)
		fmt.Println(mac, err)
	}
	egress, obstacle := table.Transmit(hop, 0)
	if obstacle.ID != route.NoObstacle {
		fmt.Println("through the kernel's own stack:", obstacle)
	}
	fmt.Println(hop.Kind, egress.Device.Name, egress.VLANs)

	// Later, before every datagram:
	if table.Generation() != generation {
		fmt.Println("resolve again")
	}
}
