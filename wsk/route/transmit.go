// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import "slices"

const (
	// maxStack bounds the walk down a stack of devices, in case a snapshot taken during a change has a loop. The
	// kernel's own limit on nesting is 8 (MAX_NEST_DEV).
	maxStack = 8

	// Modes from linux/if_bonding.h and linux/if_link.h.
	bondActiveBackup = 1
	macvlanPrivate   = 1
	macvlanVEPA      = 2
	macvlanPassthru  = 8
)

// Transmit finds the device that an AF_XDP socket should be bound to for the hop, and the tags to put on the frame, the
// outermost first. A VLAN device stands for the device below and a tag; an active-backup bond for its active port; a
// macvlan that never switches locally (private, VEPA, passthru) for its parent. The source MAC is hop.Device.MAC in all
// cases, whatever dev is.
//
// Where what happens below can't be told from here (bridge, other bonds, a macvlan in bridge mode, priorities mapped to
// PCP, a lower device in another namespace) dev is the upper device itself: AF_XDP in copy mode can be bound to it and
// the kernel does the rest. ok is false when Ethernet frames can't be sent at all: the destination is this host, the
// device has another link layer, the route has an encapsulation, or the device is gone.
func (t *Table) Transmit(hop Hop) (dev Device, vlans []VLAN, ok bool) {
	s := t.snap.Load()
	d := s.devices[hop.Interface]
	if d == nil || hop.Kind == Local || hop.Encap || !d.Ethernet || d.Type == TypeLoopback {
		return Device{}, nil, false
	}
	upper := *d
	for range maxStack {
		lower := s.below(d)
		if lower == nil {
			slices.Reverse(vlans)
			return *d, vlans, true
		}
		if d.Type == TypeVLAN {
			vlans = append(vlans, d.VLAN)
		}
		d = lower
	}
	return upper, nil, true
}

// below is one step down from d, or nil when d is the device to send through.
func (s *snapshot) below(d *Device) *Device {
	index := 0
	switch d.Type {
	case TypeVLAN:
		if !d.vlanPriorities {
			index = d.Parent
		}
	case TypeMACVLAN:
		if d.mode == macvlanPrivate || d.mode == macvlanVEPA || d.mode == macvlanPassthru {
			index = d.Parent
		}
	case TypeBond:
		if d.mode == bondActiveBackup {
			index = d.activeSlave
		}
	}
	if lower := s.devices[index]; lower != nil && lower.Ethernet {
		return lower
	}
	return nil
}
