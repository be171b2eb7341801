// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"log/slog"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// spread remembers what the NIC hashed UDP by before Options.SpreadReceive.
type spread struct {
	ipv6   bool
	before nic.FlowHash
}

// flowHasher is what knows and sets by what NICs spread UDP. Its methods are called on a thread of the datapath's
// namespace.
type flowHasher interface {
	get(ifname string, ipv6 bool) (nic.FlowHash, error)
	set(ifname string, ipv6 bool, h nic.FlowHash) error
	// nameOf is the name that an interface has now, "" when it is gone.
	nameOf(ifindex int) (string, error)
}

type kernelHasher struct{}

func (kernelHasher) get(ifname string, ipv6 bool) (nic.FlowHash, error) {
	return nic.UDPFlowHash(ifname, ipv6)
}

func (kernelHasher) set(ifname string, ipv6 bool, h nic.FlowHash) error {
	return nic.SetUDPFlowHash(ifname, ipv6, h)
}

func (kernelHasher) nameOf(ifindex int) (string, error) {
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

// spreadFlows makes a NIC put the flows between two hosts on all its queues, and returns what to restore. Where that
// is not to be had, as with one queue or on software devices, everything works as before. The caller is in the
// datapath's namespace.
func spreadFlows(log *slog.Logger, h flowHasher, ifname string) (done []spread) {
	for _, ipv6 := range []bool{false, true} {
		before, err := h.get(ifname, ipv6)
		if err == nil && !before.Ports() {
			if err = h.set(ifname, ipv6, nic.HashFlow); err == nil {
				done = append(done, spread{ipv6, before})
				log.Info("UDP is spread over the receive queues by port", "interface", ifname, "ipv6", ipv6,
					"before", before.String(), "now", nic.HashFlow.String())
			}
		}
		if err != nil {
			log.Info("UDP is not spread over the receive queues by port", "interface", ifname, "ipv6", ipv6, "why", err)
		}
	}
	return done
}

// restore undoes what spreadFlows has set on an interface, unless somebody has set something else meanwhile or the
// interface is gone: another may have its name by then, and have been spread as well. The caller is in the datapath's
// namespace.
func (s spread) restore(h flowHasher, ifindex int) error {
	name, err := h.nameOf(ifindex)
	if err != nil || name == "" {
		return err
	}
	now, err := h.get(name, s.ipv6)
	if err != nil || now != nic.HashFlow {
		return err
	}
	return h.set(name, s.ipv6, s.before)
}
