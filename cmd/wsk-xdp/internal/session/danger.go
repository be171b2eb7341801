// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// Dependents is what else lives on an interface, or on those of a way, and would suffer from a flood there, or if it went down.
type Dependents struct {
	SSH          bool // the ssh session that this process runs in
	DefaultRoute bool
}

// DependentsOf looks for what leaves through an interface of the namespace ns, 0 for the process's own. It asks the route tables only.
func DependentsOf(ctx context.Context, ns, iface int) (d Dependents, err error) {
	table, err := route.Open(route.Options{NetNS: ns})
	if err != nil {
		return d, err
	}
	defer table.Close()
	return dependentsOn(ctx, table, iface, iface), nil
}

// elsewhere are networks for documentation, which nobody has: the way to them is the default route. Of one with several next hops each
// address takes one or another, so that several are asked about.
var elsewhere = []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")}

const askedElsewhere = 24

// dependentsOn looks for what leaves through the interface, or through the device below it.
func dependentsOn(ctx context.Context, table *route.Table, iface, device int) (d Dependents) {
	leaves := func(dst netip.Addr) bool {
		hop, err := table.Resolve(ctx, route.Query{Dst: dst})
		if err != nil || hop.Kind != route.Unicast {
			return false
		}
		below, _ := table.Transmit(hop, 0)
		return hop.Device.Index == iface || hop.Device.Index == device || below.Device.Index != 0 && below.Device.Index == device
	}
	for _, dst := range elsewhere {
		for n := 0; n < askedElsewhere && !d.DefaultRoute; n++ {
			d.DefaultRoute = leaves(dst)
			dst = dst.Next()
		}
	}
	if session := host.SSHSession(); session.Valid() && table.IsLocal(session.Server) {
		on, ok := table.AddressDevice(session.Server)
		d.SSH = ok && (on == iface || on == device) || leaves(session.Client)
	}
	return d
}
