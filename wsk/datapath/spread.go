// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"

	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// spread remembers what the NIC hashed UDP by before Options.SpreadReceive.
type spread struct {
	ipv6   bool
	before xdp.FlowHash
}

// spreadFlows makes the NIC put the flows between two hosts on all its queues. Where that is not to be had, as with one
// queue or on software devices, everything works as before. The caller is in the datapath's namespace.
func (in *intake) spreadFlows() {
	in.lifeMu.Lock()
	defer in.lifeMu.Unlock()
	if in.closed {
		return
	}
	for _, ipv6 := range []bool{false, true} {
		before, err := xdp.UDPFlowHash(in.name, ipv6)
		if err == nil && !before.Ports() {
			if err = xdp.SetUDPFlowHash(in.name, ipv6, xdp.HashFlow); err == nil {
				in.spreads = append(in.spreads, spread{ipv6, before})
				in.dp.log.Info("UDP is spread over the receive queues by port", "interface", in.name, "ipv6", ipv6,
					"before", before.String(), "now", xdp.HashFlow.String())
			}
		}
		if err != nil {
			in.dp.log.Info("UDP is not spread over the receive queues by port", "interface", in.name, "ipv6", ipv6, "why", err)
		}
	}
}

// restoreFlows undoes spreadFlows, unless somebody has set something else meanwhile.
func (in *intake) restoreFlows() {
	in.lifeMu.Lock()
	spreads := in.spreads
	in.spreads = nil
	in.lifeMu.Unlock()
	for _, s := range spreads {
		err := in.dp.ns.run(func() error {
			now, err := xdp.UDPFlowHash(in.name, s.ipv6)
			if err != nil || now != xdp.HashFlow {
				return err
			}
			return xdp.SetUDPFlowHash(in.name, s.ipv6, s.before)
		})
		if err != nil && !errors.Is(err, xdp.ErrNotSupported) {
			in.dp.log.Debug("restore the UDP flow hash", "interface", in.name, "ipv6", s.ipv6, "err", err)
		}
	}
}
