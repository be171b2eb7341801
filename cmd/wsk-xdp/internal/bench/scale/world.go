// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// worlds are the laboratories, one for each table of routes.
type worlds map[worldKey]*world

type worldKey struct{ version, routes int }

func (p *Point) world() worldKey { return worldKey{p.IPVersion, p.Routes} }

// world is a link with a gateway at its other end, which counts and drops all UDP.
type world struct {
	*testenv.Lab
	gateway netip.Addr
}

// of finds or makes the laboratory of a point.
func (all worlds) of(p *Point) (*world, error) {
	key := p.world()
	if w := all[key]; w != nil {
		return w, nil
	}
	lab, err := testenv.NewLab(testenv.Topology{
		Neighbours: testenv.Static, NoIPv6: key.version == 4, Offloads: true, PeerXDP: testenv.XDPDrop,
	})
	if err != nil {
		return nil, err
	}
	w := &world{lab, lab.B.IPv4()}
	if key.version == 6 {
		w.gateway = lab.B.IPv6()
	}
	// The default route is one of the table.
	err = lab.A.If.AddRoute(netip.Prefix{}, w.gateway)
	if err == nil {
		err = lab.A.If.AddRoutes(key.routes-1, func(i int) netip.Prefix { return prefix(key.version, i) }, w.gateway)
	}
	if err != nil {
		return nil, errors.Join(err, lab.Close())
	}
	all[key] = w
	return w, nil
}

func (all worlds) close() (err error) {
	for _, w := range all {
		err = errors.Join(err, w.Close())
	}
	return err
}

// The route that changes is one that nothing is sent by.
var unrelated = map[int]netip.Prefix{4: netip.MustParsePrefix("10.99.0.0/24"), 6: netip.MustParsePrefix("fd99::/64")}

// change has a route come and go, so many changes a second, until ctx ends. It returns how many there were.
func (w *world) change(ctx context.Context, version, perSecond int) (n int, err error) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	dst := unrelated[version]
	for {
		select {
		case <-ctx.Done():
			if n%2 == 1 {
				err = w.A.If.DeleteRoute(dst, w.gateway)
			}
			return n, err
		case <-tick.C:
		}
		if n%2 == 0 {
			err = w.A.If.AddRoute(dst, w.gateway)
		} else {
			err = w.A.If.DeleteRoute(dst, w.gateway)
		}
		if err != nil {
			return n, fmt.Errorf("change a route: %w", err)
		}
		n++
	}
}
