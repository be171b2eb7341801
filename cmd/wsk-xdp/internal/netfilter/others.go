// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Family is one whose rules no datagram of UDP is judged by.
type Family uint8

// These have rules for what carries datagrams: for frames that pass a bridge, and for the questions after neighbours.
const (
	Bridge Family = unix.NFPROTO_BRIDGE
	ARP    Family = unix.NFPROTO_ARP
)

// Others names the base chains of a family that have rules, or drop by policy.
func (r *Rules) Others(f Family) (out []string) {
	for name, c := range r.raw {
		if name.family == uint8(f) && c.base && (c.rules > 0 || c.drop) {
			out = append(out, map[Family]string{Bridge: "bridge", ARP: "arp"}[f]+" "+name.table+" "+name.name)
		}
	}
	slices.Sort(out)
	return out
}
