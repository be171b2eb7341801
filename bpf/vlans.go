// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// maxVLAN is the largest VLAN identifier; 4095 is reserved (IEEE 802.1Q).
const maxVLAN = 4094

// vlanSet is the wskxdp_vlans map: a bit for each VLAN.
type vlanSet [4096 / 64]uint64

// SetVLANs says whose tagged frames are taken: usually the VLANs that the host has interfaces for on top of this one. Untagged
// frames and those of VLAN 0 always are. It replaces what the last call set; at first there are none.
//
// A frame of a VLAN that the host is no member of would be refused by the kernel, so it must not be let in here either.
func (p *Program) SetVLANs(ids []uint16) error {
	var want vlanSet
	for _, id := range ids {
		if id > maxVLAN {
			return fmt.Errorf("set VLANs: VLAN %d: want at most %d", id, maxVLAN)
		}
		want[id/64] |= 1 << (id % 64)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("set VLANs: %w", ErrClosed)
	}
	for i, word := range want {
		if p.vlans[i] == word {
			continue
		}
		if err := p.maps.WskxdpVlans.Update(uint32(i), word, ebpf.UpdateAny); err != nil {
			return fmt.Errorf("set VLANs %d to %d: %w", 64*i, 64*i+63, err)
		}
		p.vlans[i] = word
	}
	return nil
}
