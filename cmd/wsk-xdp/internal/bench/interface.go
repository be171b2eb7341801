// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// onInterface is a place outside of a laboratory. The receiver is not asked: what counts is what the interface sent.
func onInterface(ctx context.Context, c *Config) (_ *place, err error) {
	h, err := netlinkIn(c.NetNS.FD())
	if err != nil {
		return nil, err
	}
	p := &place{
		iface: c.Interface, do: c.NetNS.Do, elsewhere: c.NetNS != nil, countedBy: "packets sent by " + c.Interface + " (interface counter)",
		close: func() error { h.Close(); return nil },
	}
	defer func() {
		if err != nil {
			h.Close()
		}
	}()
	link, err := h.LinkByName(c.Interface)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			err = session.ErrNoInterface
		}
		return nil, fmt.Errorf("%s: %w: see ip link", c.Interface, err)
	}
	attrs := link.Attrs()
	p.ifIndex, p.mtu = attrs.Index, attrs.MTU
	mac, ok := frame.MACFromSlice(attrs.HardwareAddr)
	if !ok {
		return nil, fmt.Errorf("interface %s is no Ethernet interface", c.Interface)
	}
	p.srcMAC = mac
	table, err := route.Open(route.Options{NetNS: c.NetNS.FD()})
	if err != nil {
		return nil, err
	}
	defer table.Close()
	for _, to := range c.To {
		way, err := session.Survey(ctx, c.NetNS.FD(), session.Query{Destination: to.Addr()})
		if err != nil {
			return nil, fmt.Errorf("way to %v: %w", to, err)
		}
		if way.SlowReason != "" || way.DeviceName() != c.Interface || len(way.VLANs) > 0 {
			return nil, fmt.Errorf("way to %v: leads over %s and not straight through %s %s", to, way.DeviceName(), c.Interface,
				way.SlowReason)
		}
		if danger := way.Danger(); danger != "" && !c.Force {
			return nil, exit.NotPossiblef("%s, and every engine sends there as fast as it can: use another interface, leave --interface out, "+
				"or say --force", danger)
		}
		mac, err := table.Neighbour(ctx, way.Interface.Index, way.Gateway)
		if err != nil {
			return nil, fmt.Errorf("way to %v: %w", to, err)
		}
		p.source = way.Source
		p.targets = append(p.targets, target{to, mac})
	}
	p.count = func() (uint64, uint64, error) {
		link, err := h.LinkByIndex(p.ifIndex)
		if err != nil {
			return 0, 0, fmt.Errorf("count at %s: %w", c.Interface, err)
		}
		return link.Attrs().Statistics.TxPackets, 0, nil
	}
	return p, nil
}

func netlinkIn(fd int) (*netlink.Handle, error) {
	if fd == 0 {
		return netlink.NewHandle()
	}
	return netlink.NewHandleAt(vnetns.NsHandle(fd))
}
