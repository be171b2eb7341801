// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Point is one combination.
type Point struct {
	IPVersion    int `json:"ip_version"`
	Destinations int `json:"destinations"`
	Sockets      int `json:"sockets"`
	Changes      int `json:"route_changes_per_second"`
	Routes       int `json:"routes"`
}

// String is the point in words.
func (p Point) String() string {
	return fmt.Sprintf("IPv%d, %s, %s, %s, %s a second", p.IPVersion, units.Plural(p.Destinations, "destination"),
		units.Plural(p.Sockets, "socket"), units.Plural(p.Routes, "route"), units.Plural(p.Changes, "change"))
}
