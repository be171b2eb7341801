// SPDX-License-Identifier: Apache-2.0

package policy

import "github.com/gaissmai/bart"

// Grant is what an [[allow]] allows. It never changes.
type Grant struct {
	Name   string
	Limits Limits

	interfaces   uint64               // a bit for each place in Policy.Interfaces
	sources      *bart.Fast[struct{}] // local addresses by name
	ofInterface  bool                 // and all of the interfaces granted
	sourcePorts  ports
	reuse        bool
	destinations *table
	receiveFrom  *table
	multicast    *table
	local        bool
	linkLocal    bool
	broadcast    bool
	dscp         uint64 // a bit for each value
	ttlMax       uint8
}
