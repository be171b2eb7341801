// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Mix is what the datagrams of a run are on the wire: sums over a cycle of so many packets, which are repeated.
type Mix struct {
	Packets, Payload, L2Bytes, L1Bytes int
	// Largest is the largest payload, Frames how many frames it is in.
	Largest, Frames int
}

// MixOf is the mix of datagrams with these payloads, in turn, on a path with this MTU, with so many VLAN tags in each frame.
func MixOf(is4 bool, payloads []int, mtu, tags int) (m Mix) {
	for _, n := range payloads {
		w := OnWire(is4, n, mtu, tags)
		m.Packets++
		m.Payload += n
		m.L2Bytes += w.L2Bytes
		m.L1Bytes += w.L1Bytes
		m.Largest, m.Frames = max(m.Largest, n), max(m.Frames, w.Frames)
	}
	return m
}

// Load is the cycle as bit rates of the layer count it.
func (m Mix) Load(layer units.Layer) units.Load {
	bytes := m.Payload
	switch layer {
	case units.L1:
		bytes = m.L1Bytes
	case units.L2:
		bytes = m.L2Bytes
	}
	return units.Load{Packets: uint64(m.Packets), Bits: uint64(bytes) * 8}
}

// MeanL2 and MeanL1 are what a packet is in bytes, with FCS and with preamble and gap too, rounded.
func (m Mix) MeanL2() int { return m.mean(m.L2Bytes) }

// MeanL1 is described at MeanL2.
func (m Mix) MeanL1() int { return m.mean(m.L1Bytes) }

// mean is a sum over the cycle, for each packet, rounded.
func (m Mix) mean(sum int) int { return (sum + m.Packets/2) / max(m.Packets, 1) }

// bits is a packet rate in bits a second of which a packet has so many bytes in a cycle.
func (m Mix) bits(pps float64, sum int) float64 {
	return pps * float64(sum) * 8 / float64(max(m.Packets, 1))
}

// perSecond is how many there were in a second of a time.
func perSecond(n uint64, d time.Duration) uint64 {
	if d <= 0 {
		return 0
	}
	return uint64(float64(n)/d.Seconds() + 0.5)
}
