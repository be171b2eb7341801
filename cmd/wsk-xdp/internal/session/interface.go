// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// OpenInterface surveys an interface for a caller whose frames bear their addresses already, and opens nothing. Without
// Options.Interface it is the only one that frames can leave through. Of the other options NetNS and AssumeNoIPsec are
// looked at. Its errors have exit codes.
func OpenInterface(ctx context.Context, o Options) (*Session, error) {
	table, err := route.Open(route.Options{NetNS: o.NetNS, AssumeNoIPsec: o.AssumeNoIPsec})
	if err != nil {
		return nil, err
	}
	defer table.Close()
	d, err := chooseDevice(table, o.Interface)
	if err != nil {
		return nil, err
	}
	if err := carriesFrames(table, d); err != nil {
		return nil, err
	}
	s := &Session{netns: o.NetNS, listener: icmp.NewListener(), named: true}
	s.Way = Way{Kind: route.Unicast, MTU: d.MTU, Interface: d, Device: d, dependents: dependentsOn(ctx, table, d.Index, d.Index)}
	if table.Policies() != nil {
		s.Way.Bypasses = "WX-IPSEC-01: this host has IPsec policies, which frames of a file bypass: what they are to encrypt leaves in clear"
		if table.PoliciesUnreadable() != nil {
			s.Way.Bypasses = "WX-IPSEC-01: the host's IPsec policies can't be read (CAP_NET_ADMIN), and frames of a file bypass them: " +
				"--assume-no-ipsec says that there are none"
		}
	}
	return s, nil
}

// chooseDevice finds the interface by its name, or the only one there is.
func chooseDevice(table *route.Table, name string) (route.Device, error) {
	if name != "" {
		d, ok := table.DeviceByName(name)
		if !ok {
			return d, exit.Usagef("%s: %w: see ip link", name, ErrNoInterface)
		}
		return d, nil
	}
	var found []route.Device
	var names []string
	for _, d := range table.Devices() {
		if d.Master == 0 && carriesFrames(table, d) == nil {
			found, names = append(found, d), append(names, d.Name)
		}
	}
	switch len(found) {
	case 0:
		return route.Device{}, exit.NotPossiblef("there is no interface that is up and that frames can leave through: see ip link, or wsk-xdp lab")
	case 1:
		return found[0], nil
	}
	const most = 8
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return route.Device{}, exit.Usagef("there are several interfaces: name one with -i, of %s", strings.Join(names, ", "))
}

// carriesFrames says why whole frames can't leave through a device as they are.
func carriesFrames(table *route.Table, d route.Device) error {
	egress, obstacle := table.Transmit(route.Hop{Kind: route.Unicast, Interface: d.Index, Device: d}, 0)
	switch {
	case obstacle.ID != route.NoObstacle:
		return exit.NotPossiblef("frames of a file leave through AF_XDP only: %v", obstacle)
	case !d.Up:
		return exit.NotPossiblef("%s is down: ip link set %s up", d.Name, d.Name)
	case len(egress.VLANs) > 0 || egress.Device.Index != d.Index:
		return exit.NotPossiblef("%s is on top of %s, and frames that leave there as they are need the one below: -i %s", d.Name, egress.Device.Name,
			egress.Device.Name)
	}
	return nil
}
