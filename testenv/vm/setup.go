// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// Setup is what network cards a guest has.
type Setup struct {
	Name string
	// Queues of each card, and processors of the guest: with another number of them, drivers bring frames to queues
	// that nobody listens on.
	Queues int
	// Modules are the drivers.
	Modules []string
	// NICs are the ends of the wire.
	NICs []job.NIC
	// taps says that the wire is a bridge of the host, in a namespace of its own.
	taps bool
	// devices gives QEMU's arguments for end i.
	devices func(i int, mac string) []string
}

// wire names both ends: the product's own tests in guests go by these variables.
var wire = []job.NIC{
	{Env: "WSKXDP_NIC_A", MAC: "02:77:00:00:01:0a"},
	{Env: "WSKXDP_NIC_B", MAC: "02:77:00:00:01:0b"},
}

// Setups are all there are.
func Setups() []Setup {
	return []Setup{
		{Name: "veth", Queues: 2},
		{Name: "igb", Queues: 4, Modules: []string{"igb"}, NICs: wire, devices: igb},
		{Name: "virtio", Queues: 4, Modules: []string{"virtio_net"}, NICs: wire, taps: true, devices: virtioTap},
		{Name: "virtio1", Queues: 1, Modules: []string{"virtio_net"}, NICs: wire, devices: virtioHub},
	}
}

// FindSetup returns the one of that name.
func FindSetup(name string) (Setup, error) {
	var names []string
	for _, s := range Setups() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Setup{}, fmt.Errorf("no set-up %q: there are %s", name, strings.Join(names, ", "))
}

// cables reports whether there are any to be pulled.
func (s Setup) cables() bool { return len(s.NICs) > 0 }

// args are QEMU's arguments for all cards.
func (s Setup) args() []string {
	var all []string
	for i, nic := range s.NICs {
		all = append(all, s.devices(i, nic.MAC)...)
	}
	if s.cables() {
		all = append(all, cableArgs()...) // behind the cards, which keep their places on the bus
	}
	return all
}

func hubport(i int) string { return fmt.Sprintf("hubport,id=n%d,hubid=0", i) }

// igb is a card of PCI Express and wants a root port each.
func igb(i int, mac string) []string {
	return []string{
		"-netdev", hubport(i),
		"-device", fmt.Sprintf("pcie-root-port,id=rp%d,chassis=%d,slot=%d", i, i+1, i+1),
		"-device", fmt.Sprintf("igb,id=%s,bus=rp%d,netdev=n%d,mac=%s", cardID(i), i, i, mac),
	}
}

// modern makes a virtio card use the guest's DMA interface, without which zero-copy is refused.
const modern = "iommu_platform=on,disable-legacy=on,romfile="

func virtioHub(i int, mac string) []string {
	return []string{
		"-netdev", hubport(i),
		"-device", fmt.Sprintf("virtio-net-pci,id=%s,netdev=n%d,mac=%s,%s", cardID(i), i, mac, modern),
	}
}

// virtioTap needs taps: a hub has no queues. A vector for each of four queues in both directions, one for the control
// queue, one for changes of configuration.
func virtioTap(i int, mac string) []string {
	return []string{
		"-netdev", fmt.Sprintf("tap,id=n%d,ifname=%s,queues=4,vhost=off,script=no,downscript=no", i, tapName(i)),
		"-device", fmt.Sprintf("virtio-net-pci,id=%s,netdev=n%d,mac=%s,mq=on,vectors=10,%s", cardID(i), i, mac, modern),
	}
}
