// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A stack of devices: a VLAN device on a bond with two ports, a bridge with a port, a device beside.
const (
	stackPort, stackOther, stackBond, stackVLAN, stackBridge, stackLeg, stackBeside = 1, 2, 3, 4, 5, 6, 7
)

func stackModel() *model {
	m := newModel()
	ports := func(index, master int) *Device {
		return &Device{Index: index, Name: string(rune('a' + index)), Type: TypeVeth, Ethernet: true, Master: master, MTU: 1500}
	}
	for _, d := range []*Device{
		ports(stackPort, stackBond), ports(stackOther, stackBond), ports(stackLeg, stackBridge), ports(stackBeside, 0),
		{Index: stackBond, Name: "bond", Type: TypeBond, Ethernet: true, mode: bondActiveBackup, activeSlave: stackPort, MTU: 1500},
		{Index: stackVLAN, Name: "vlan", Type: TypeVLAN, Ethernet: true, Parent: stackBond, VLAN: VLAN{ID: 7, Proto: ethertype8021Q}},
		{Index: stackBridge, Name: "bridge", Type: TypeBridge, Ethernet: true, MTU: 1500},
	} {
		m.devices[d.Index] = d
	}
	return m
}

// The devices that get another number are those whose frames may have to be made anew.
func TestStamps(t *testing.T) {
	change := func(index int, set func(*Device)) func(*model, *changes) {
		return func(m *model, c *changes) {
			d := Device{Index: index, Type: TypeVeth, Ethernet: true, Name: "new"}
			if old := m.devices[index]; old != nil {
				d = *old
			}
			set(&d)
			m.setDevice(d, c)
		}
	}
	for name, test := range map[string]struct {
		change func(*model, *changes)
		want   []int
	}{
		"nothing":                  {func(*model, *changes) {}, nil},
		"state":                    {change(stackPort, func(d *Device) { d.Up, d.Carrier = true, true }), nil},
		"MTU of a device":          {change(stackBeside, func(d *Device) { d.MTU = 1400 }), []int{stackBeside}},
		"MTU for IPv6":             {func(m *model, c *changes) { m.setMTU6(stackBeside, 1300, c) }, []int{stackBeside}},
		"one more":                 {change(8, func(*Device) {}), []int{8}},
		"port that is used":        {change(stackPort, func(d *Device) { d.MTU = 1400 }), []int{stackPort, stackBond, stackVLAN}},
		"port that is not":         {change(stackOther, func(d *Device) { d.MTU = 1400 }), []int{stackOther}},
		"other port":               {change(stackBond, func(d *Device) { d.activeSlave = stackOther }), []int{stackBond, stackVLAN}},
		"port with a queue":        {change(stackOther, func(d *Device) { d.bondQueue = 1 }), []int{stackOther, stackBond, stackVLAN}},
		"tag":                      {change(stackVLAN, func(d *Device) { d.VLAN.ID = 8 }), []int{stackVLAN}},
		"bridge, port added":       {change(8, func(d *Device) { d.Master = stackBridge }), []int{8}},
		"bridge, port carries not": {change(8, func(d *Device) { d.Master, d.Type = stackBridge, TypeOther }), []int{8, stackBridge}},
		"bridge, port changes":     {change(stackLeg, func(d *Device) { d.Type = TypeOther }), []int{stackLeg, stackBridge}},
		"port changes sides":       {change(stackLeg, func(d *Device) { d.Master = 0 }), []int{stackLeg}},
		"made again": {func(m *model, c *changes) {
			d := *m.devices[stackPort]
			m.deleteDevice(stackPort, c)
			m.setDevice(d, c)
		}, []int{stackPort, stackBond, stackVLAN}},
		"deleted": {func(m *model, c *changes) { m.deleteDevice(stackPort, c) }, []int{stackPort, stackBond, stackVLAN}},
		"events lost": {func(m *model, c *changes) {
			m.replace(stackModel(), c, func(before, _ Device) bool { return before.Index != stackBeside })
		}, []int{stackBeside}},
	} {
		t.Run(name, func(t *testing.T) {
			m := stackModel()
			before := m.snapshot(nil, newChanges())
			c := newChanges()
			test.change(m, c)
			after := m.snapshot(before, c)
			var got []int
			for index := range 9 {
				if before.stamps.of[index] != after.stamps.of[index] {
					got = append(got, index)
				}
			}
			slices.Sort(test.want)
			if !slices.Equal(got, test.want) {
				t.Errorf("others are %v, want %v", got, test.want)
			}
			seen := map[uint64]bool{}
			for index, n := range after.stamps.of {
				if n == 0 || seen[n] || after.devices[index] == nil {
					t.Errorf("device %d has number %d", index, n)
				}
				seen[n] = true
			}
			if len(after.stamps.of) != len(after.devices) || after.stamps.last < slices.Max(slices.Collect(maps.Values(after.stamps.of))) {
				t.Errorf("%d numbers up to %d for %d devices", len(after.stamps.of), after.stamps.last, len(after.devices))
			}
		})
	}
}

// What the kernel says of rules and of filters of sources concerns answers of the kernel alone.
func TestSettingsLeaveGrounds(t *testing.T) {
	m, c := baseModel(), newChanges()
	m.setFilter(7, ReversePathStrict, c)
	m.setRules(rules{v4: looks{ports: true}}, c)
	m.apply(unix.RTM_NEWROUTE, nil, c)
	if c.bump || c.every || !c.routes {
		t.Errorf("%+v", c)
	}
}
