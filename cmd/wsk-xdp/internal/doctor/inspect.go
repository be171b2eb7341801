// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// inspect looks at one interface of the calling thread's namespace.
func (f *Facts) inspect(ctx context.Context, o *Options) error {
	name := o.Interface
	i, err := nic.Inspect(name)
	if err != nil {
		return err
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("look at interface %s: %w", name, err)
	}
	a := l.Attrs()
	facts := &InterfaceFacts{
		Name: i.Name, Index: i.Index, Kind: i.Type, Driver: i.Driver, MTU: i.MTU, Up: i.Up, Carrier: i.Running,
		OperState: a.OperState.String(), Ethernet: a.EncapType == "ether" || a.EncapType == "loopback",
		TxQueues: i.TxQueues.N, RxQueues: i.RxQueues.N, QueuesExact: i.TxQueues.Exact, QueuesSource: i.TxQueues.Source,
		TxRing: i.HardwareRings.TX, RxRing: i.HardwareRings.RX, FeaturesKnown: i.DeviceErr == nil,
		Native: i.Device.XDP.Native(), ZeroCopy: i.Device.XDP.ZeroCopy(),
		TakenQueues: []int{}, TakenKnown: i.QueuesErr == nil && i.Up,
	}
	if i.DeviceErr == nil {
		facts.XDPFeatures, facts.XSKFeatures = i.Device.XDP.String(), i.Device.XSK.String()
	}
	for _, q := range i.Queues {
		if q.Taken && q.TX {
			facts.TakenQueues = append(facts.TakenQueues, int(q.ID))
		}
	}
	facts.holders()
	facts.driver()
	facts.flowHash()
	facts.relatives(l)
	facts.program(a.Xdp)
	if d, err := session.DependentsOf(ctx, o.NetNS.FD(), i.Index); err == nil {
		facts.SSH, facts.DefaultRoute = d.SSH, d.DefaultRoute
	}
	if o.Try {
		if facts.SSH && !o.Force {
			return exit.NotPossiblef("WX-SSH-01: this ssh session runs over %s, and --try may take its link down for seconds: leave --try out, "+
				"or say --force", name)
		}
		facts.Tried = facts.tryBinds()
	}
	f.Interface = facts
	return nil
}

func (f *InterfaceFacts) driver() {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return
	}
	defer e.Close()
	if info, err := e.DriverInfo(f.Name); err == nil {
		f.Version, f.Firmware, f.Bus = info.Version, info.FwVersion, info.BusInfo
	}
}

// relatives looks at what is above, below and opposite.
func (f *InterfaceFacts) relatives(l netlink.Link) {
	a := l.Attrs()
	if a.MasterIndex != 0 {
		f.Master = fmt.Sprintf("interface %d", a.MasterIndex)
		if m, err := netlink.LinkByIndex(a.MasterIndex); err == nil {
			f.Master, f.MasterKind = m.Attrs().Name, m.Type()
		}
	}
	switch l.Type() {
	case "veth":
		f.Peer = fmt.Sprintf("interface %d of another network namespace", a.ParentIndex)
		if a.NetNsID < 0 {
			if p, err := netlink.LinkByIndex(a.ParentIndex); err == nil {
				f.Peer = p.Attrs().Name
			}
		}
		f.PeerNAPI = strings.Contains(f.XDPFeatures, "ndo-xmit")
	case "vlan", "macvlan", "macvtap", "ipvlan":
		f.Lower = fmt.Sprintf("interface %d", a.ParentIndex)
		if p, err := netlink.LinkByIndex(a.ParentIndex); err == nil && a.NetNsID < 0 {
			f.Lower = p.Attrs().Name
		}
	}
}

var attachModes = map[uint32]string{1: "native", 2: "generic", 3: "offloaded", 4: "several"}

func (f *InterfaceFacts) program(x *netlink.LinkXdp) {
	if x == nil || !x.Attached {
		return
	}
	f.Program = &Program{ID: x.ProgId, Mode: attachModes[x.AttachMode]}
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(x.ProgId))
	if err != nil {
		return // needs privilege
	}
	defer p.Close()
	if info, err := p.Info(); err == nil {
		f.Program.Name = info.Name
	}
}
