// SPDX-License-Identifier: Apache-2.0

package session

import (
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// HostRules is what the routing table knows of the rules that datagrams of a namespace, or of one interface in it, are held to.
type HostRules struct {
	// Policies: there are IPsec policies that can change something, or it is not known (see PoliciesUnreadable).
	Policies bool

	// Of the interface: why AF_XDP can't send through it, whatever the destination is, empty where it can; its check of sources
	// (rp_filter); the VRF that it belongs to, if any, and whether sockets outside get what arrives there.
	Obstacle    string
	ReversePath route.ReversePath
	VRF         string
	FromVRFs    bool
}

// ReadHostRules reads them in the namespace netns, 0 for the process's own. ifindex 0 is no interface.
func ReadHostRules(netns, ifindex int) (HostRules, error) {
	table, err := route.Open(route.Options{NetNS: netns})
	if err != nil {
		return HostRules{}, err
	}
	defer table.Close()
	r := HostRules{Policies: table.Policies() != nil}
	if ifindex == 0 {
		return r, nil
	}
	_, obstacle := table.Transmit(route.Hop{Kind: route.Unicast, Interface: ifindex}, 0)
	if obstacle.ID != route.NoObstacle {
		r.Obstacle = obstacle.String()
	}
	r.ReversePath, r.FromVRFs = table.ReversePath(ifindex), table.ReceivesFromVRFs()
	if vrf := table.VRF(ifindex); vrf != 0 {
		r.VRF = fmt.Sprintf("interface %d", vrf)
		if d, ok := table.Device(vrf); ok {
			r.VRF = d.Name
		}
	}
	return r, nil
}
