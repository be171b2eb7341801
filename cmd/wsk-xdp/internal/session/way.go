// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// OpenWay surveys the way for an engine that sends frames of its own, and opens nothing: no datapath and no sockets. Its errors
// have exit codes.
func OpenWay(ctx context.Context, engine string, o Options) (*Session, error) {
	s, err := FindWay(ctx, o)
	if err == nil && s.Way.SlowReason != "" {
		past := "through AF_XDP only"
		if engine != "frames" {
			past = "past the kernel's stack only"
		}
		return nil, exit.NotPossiblef("engine %s sends %s: %s", engine, past, s.Way.SlowReason)
	}
	return s, err
}

// FindWay is OpenWay for a caller who sends through the kernel's stack, which knows a way where AF_XDP has none.
func FindWay(ctx context.Context, o Options) (*Session, error) {
	s := &Session{netns: o.NetNS, listener: icmp.NewListener(), is4: o.Destination.Addr().Unmap().Is4()}
	s.Way, s.WayErr = Survey(ctx, o.NetNS, o.query())
	switch {
	case asked(s.WayErr):
		return nil, exit.Usagef("%w", s.WayErr)
	case s.WayErr != nil:
		return nil, fmt.Errorf("no way to %v: %w", o.Destination, s.WayErr)
	}
	return s, nil
}

// FindMAC waits until it is known who gets the frames.
func (s *Session) FindMAC(ctx context.Context, timeout time.Duration) (net.HardwareAddr, error) {
	table, err := route.Open(route.Options{NetNS: s.netns, NeighbourTimeout: timeout})
	if err != nil {
		return nil, err
	}
	defer table.Close()
	to := s.Way.Gateway
	if s.Way.Kind != route.Unicast {
		to = s.Way.Destination
	}
	mac, err := table.Neighbour(ctx, s.Way.Interface.Index, to)
	switch {
	case errors.Is(err, route.ErrUnreachable):
		return nil, fmt.Errorf("%v does not answer: %w: give its MAC by --dst-mac, or see ip neigh", to, err)
	case err != nil:
		return nil, err
	}
	return mac[:], nil
}

// QueueError adds, to the error that a queue of the way's device is taken, who has it.
func (s *Session) QueueError(err error) error { return withHolder(s.netns, s.Way.Device.Index, err) }
