// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// spread remembers what the NIC hashed UDP by before Options.SpreadReceive.
type spread struct {
	ipv6   bool
	before nic.FlowHash
}

// flowHasher is what knows and sets by what NICs spread UDP. Its methods are called on a thread of the datapath's namespace.
type flowHasher interface {
	Get(ifname string, ipv6 bool) (nic.FlowHash, error)
	Set(ifname string, ipv6 bool, h nic.FlowHash) error
	// NameOf is the name that an interface has now, "" when it is gone.
	NameOf(ifindex int) (string, error)
}

type KernelHasher struct{}

func (KernelHasher) Get(ifname string, ipv6 bool) (nic.FlowHash, error) {
	return nic.UDPFlowHash(ifname, ipv6)
}

func (KernelHasher) Set(ifname string, ipv6 bool, h nic.FlowHash) error {
	return nic.SetUDPFlowHash(ifname, ipv6, h)
}

func (KernelHasher) NameOf(ifindex int) (string, error) {
	l, err := netlink.LinkByIndex(ifindex)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return l.Attrs().Name, nil
}

// SpreadFlows makes the NIC put the flows between two hosts on all its queues. Where that is not to be had, as with one
// queue or on software devices, everything works as before. The caller is in the datapath's namespace.
func (p *Program) SpreadFlows() {
	p.lifeMu.Lock()
	defer p.lifeMu.Unlock()
	if p.closed {
		return
	}
	for _, ipv6 := range []bool{false, true} {
		before, err := p.Hasher.Get(p.Name, ipv6)
		if err == nil && !before.Ports() {
			if err = p.Hasher.Set(p.Name, ipv6, nic.HashFlow); err == nil {
				p.spreads = append(p.spreads, spread{ipv6, before})
				p.set.Log.Info("UDP is spread over the receive queues by port", "interface", p.Name, "ipv6", ipv6,
					"before", before.String(), "now", nic.HashFlow.String())
			}
		}
		if err != nil {
			p.set.Log.Info("UDP is not spread over the receive queues by port", "interface", p.Name, "ipv6", ipv6, "why", err)
		}
	}
}

// restoreFlows undoes SpreadFlows, unless somebody has set something else meanwhile or the interface is gone: another may have its
// name by then, and have been spread as well.
func (p *Program) restoreFlows() {
	p.lifeMu.Lock()
	spreads := p.spreads
	p.spreads = nil
	p.lifeMu.Unlock()
	for _, s := range spreads {
		err := p.set.InNetNS(func() error {
			name, err := p.Hasher.NameOf(p.IfIndex)
			if err != nil || name == "" {
				return err
			}
			now, err := p.Hasher.Get(name, s.ipv6)
			if err != nil || now != nic.HashFlow {
				return err
			}
			return p.Hasher.Set(name, s.ipv6, s.before)
		})
		if err != nil && !errors.Is(err, xdp.ErrNotSupported) {
			p.set.Log.Warn("restore the UDP flow hash", "interface", p.Name, "ipv6", s.ipv6, "before", s.before.String(), "err", err)
		}
	}
}
