// SPDX-License-Identifier: Apache-2.0

package send

import (
	"context"
	"errors"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

var (
	errBroadcastDenied = errors.New("destination is a broadcast address and SO_BROADCAST is off")
	errFamily          = errors.New("the bound address is of the other family")
)

// resolveStatus is the status in which an operation ends that has no way (docs/wsk-mapping.md, status of a send). dead: the device with the
// address of its socket was deleted.
func resolveStatus(err error, to *wsk.Destination, dead bool) wsk.NTSTATUS {
	var verdict refused
	switch {
	case errors.As(err, &verdict):
		return wsk.NTSTATUS(verdict)
	case errors.Is(err, route.ErrNoDevice) && !errors.Is(err, route.ErrScope) && to.IfIndex == 0, dead:
		// Nobody asked for an interface: the one that the kernel had chosen was deleted meanwhile.
		return wsk.STATUS_FILE_FORCED_CLOSED
	case errors.Is(err, errBroadcastDenied), errors.Is(err, route.ErrProhibited):
		return wsk.STATUS_ACCESS_DENIED
	case errors.Is(err, route.ErrBlackhole):
		return wsk.STATUS_INVALID_PARAMETER
	case errors.Is(err, route.ErrSource), errors.Is(err, route.ErrNoDevice), errors.Is(err, route.ErrScope),
		errors.Is(err, errFamily), errors.Is(err, frame.ErrInvalidFlow):
		return wsk.STATUS_INVALID_ADDRESS_COMPONENT
	case errors.Is(err, route.ErrUnreachable), errors.Is(err, route.ErrHostUnreachable):
		return wsk.STATUS_HOST_UNREACHABLE
	case errors.Is(err, route.ErrNeighbourTableFull), errors.Is(err, route.ErrTooManyWaiting),
		errors.Is(err, errTooManySearches):
		return wsk.STATUS_INSUFFICIENT_RESOURCES
	case errors.Is(err, context.Canceled):
		return wsk.STATUS_CANCELLED
	default:
		return wsk.STATUS_NETWORK_UNREACHABLE
	}
}

// asksNeighbour reports whether the kernel will send to the neighbour that the hop names, and may have to ask for it.
func asksNeighbour(hop route.Hop, o route.Obstacle) bool {
	switch o.ID {
	case route.NoObstacle, route.ObstacleKind, route.ObstacleElsewhere, route.ObstacleDepth, route.ObstacleTags,
		route.ObstacleVLANPriority, route.ObstacleBondMode, route.ObstacleBondQueue, route.ObstacleBondIdle,
		route.ObstaclePacketInfo:
		return hop.Kind == route.Unicast && hop.Device.Ethernet && !hop.Device.NoARP
	}
	return false
}
