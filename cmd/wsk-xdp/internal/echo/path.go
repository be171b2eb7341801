// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Path is what an echo does to its answers as a longer or worse way would. The zero value does nothing.
type Path struct {
	// Delay is how long after its ping an answer leaves. Answers keep their order.
	Delay time.Duration
	// Drop is the share of the pings that get no answer. Which ones is a function of Seed and of their numbers alone: a run
	// can be repeated, and the two ends can be compared ping by ping.
	Drop units.Share
	Seed uint64
}

// whole is the share that is everything.
const whole = 1_000_000

// drops is whether a datagram that begins like this is a ping that gets no answer.
func (p *Path) drops(head []byte) bool {
	if p.Drop == 0 {
		return false
	}
	s, ok := stamp.ParsePing(head)
	return ok && p.Drops(s.Sequence)
}

// Drops is whether the ping of this number gets no answer.
func (p *Path) Drops(number uint64) bool {
	return mix(p.Seed^mix(number))%whole < uint64(p.Drop)
}

// mix is the finaliser of splitmix64: neighbouring numbers become such as have nothing in common.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
