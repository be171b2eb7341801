// SPDX-License-Identifier: Apache-2.0

package send

import (
	"fmt"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// refused is that a guard does not let anything through to a destination.
type refused wsk.NTSTATUS

func (r refused) Error() string { return fmt.Sprintf("the guard refuses: %v", wsk.NTSTATUS(r)) }

// admit asks a guard, if there is one, whether datagrams may take a way. slow says that the kernel's stack is to send them.
func admit(guard wsk.FlowGuard, to *wsk.Destination, hop *route.Hop, source netip.Addr, mtu int, slow bool) error {
	if guard == nil {
		return nil
	}
	if !source.IsValid() && hop.Kind == route.Local {
		source = hop.Gateway // the kernel sends to itself from the very address
	}
	way := wsk.Way{IfIndex: uint32(hop.Interface), Kind: wayKinds[hop.Kind], Slow: slow, MTU: mtu}
	if source.IsValid() {
		way.Source = source.As16()
	}
	if status := guard.Admit(to, way); status != wsk.STATUS_SUCCESS {
		return refused(status)
	}
	return nil
}

var wayKinds = [...]wsk.WayKind{
	route.Unicast: wsk.WayUnicast, route.Local: wsk.WayLocal, route.Broadcast: wsk.WayBroadcast, route.Multicast: wsk.WayMulticast,
}
