// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// dependents is what else lives on the interfaces of a way, and would suffer from a flood there.
type dependents struct {
	ssh          bool // the ssh session that this process runs in
	defaultRoute bool
}

// elsewhere are addresses for documentation, which are on no network: the way to them is the default route.
var elsewhere = []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")}

// dependentsOn looks for what leaves through the interface, or through the device below it. It asks the route tables
// only.
func dependentsOn(ctx context.Context, table *route.Table, iface, device int) (d dependents) {
	leaves := func(dst netip.Addr) bool {
		hop, err := table.Resolve(ctx, route.Query{Dst: dst})
		if err != nil || hop.Kind != route.Unicast {
			return false
		}
		below, _ := table.Transmit(hop, 0)
		return hop.Device.Index == iface || hop.Device.Index == device || below.Device.Index != 0 && below.Device.Index == device
	}
	for _, dst := range elsewhere {
		d.defaultRoute = d.defaultRoute || leaves(dst)
	}
	if session := host.SSHSession(); session.Valid() && table.IsLocal(session.Server) {
		on, ok := table.AddressDevice(session.Server)
		d.ssh = ok && (on == iface || on == device) || leaves(session.Client)
	}
	return d
}
