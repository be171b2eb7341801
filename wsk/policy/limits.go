// SPDX-License-Identifier: Apache-2.0

package policy

// Limits bound all sessions of a grant together.
type Limits struct {
	Rate            uint64 // datagrams a second; 0: no bound
	Bits            uint64 // bits a second, headers included; 0: no bound
	Burst           int    // datagrams that may leave at once after a pause
	Refuse          bool   // what is over Rate or Bits fails, else it waits
	Weight          int    // share of a queue that is contended
	Sessions        int    // clients that are connected at the same time
	Sockets         int    // open at the same time
	Memberships     int    // groups joined at the same time, each on an interface
	Inflight        int    // datagrams under way
	Memory          uint64 // bytes
	Destinations    int    // different ones in use
	NewDestinations uint64 // a second
	Size            int    // of the largest payload
	Fragments       bool   // payloads that do not fit into one packet are sent
}

// builtin are the limits where neither the grant nor [defaults] says anything.
var builtin = Limits{
	Rate:            200_000,
	Burst:           4096,
	Weight:          1,
	Sessions:        64,
	Sockets:         8,
	Memberships:     64,
	Inflight:        4096,
	Memory:          16 << 20,
	Destinations:    1024,
	NewDestinations: 1000,
	Size:            65527,
	Fragments:       true,
}
