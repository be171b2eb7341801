// SPDX-License-Identifier: Apache-2.0

package send

import (
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// slowReason is why a flow goes through the kernel's stack: an obstacle on the way, or one of those below.
type slowReason uint8

const (
	slowNoQueue    = slowReason(route.NumObstacles) + iota // no AF_XDP queue is to be had now
	slowMTU                                                // the queue takes no packets of the interface's MTU
	slowLooped                                             // sockets of this host are to get it too
	slowNAT                                                // the kernel translates the addresses of the flow
	slowOpening                                            // the queue is being opened
	numSlowReasons = iota + int(route.NumObstacles)
)

func (r slowReason) String() string {
	switch r {
	case slowNoQueue:
		return "no-queue"
	case slowMTU:
		return "mtu"
	case slowLooped:
		return "looped"
	case slowNAT:
		return "nat"
	case slowOpening:
		return "opening"
	}
	return route.ObstacleID(r).String()
}

// sentence says it to people. o is what is in the way, if it is something on the way.
func (r slowReason) sentence(o route.Obstacle) string {
	switch r {
	case slowNoQueue:
		return "no AF_XDP queue is to be had now"
	case slowMTU:
		return "packets of the interface's MTU do not fit the chunks that a frame may lie in"
	case slowLooped:
		return "sockets of this host are to get it too"
	case slowOpening:
		return "the AF_XDP queue is being opened"
	}
	return o.String()
}

// slowPaths counts the resolutions that ended at the kernel's stack.
type slowPaths [numSlowReasons]atomic.Uint64

// Counts are the numbers by the word for their reason, and their sum.
func (c *slowPaths) Counts() (by map[string]uint64, all uint64) {
	by = make(map[string]uint64)
	for why := range slowReason(numSlowReasons) {
		if n := c[why].Load(); n != 0 {
			by[why.String()] = n
			all += n
		}
	}
	return by, all
}
