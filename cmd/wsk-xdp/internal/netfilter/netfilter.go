// SPDX-License-Identifier: Apache-2.0

// Package netfilter reads what the rules of a network namespace do to datagrams, as far as it matters to somebody who sends and
// receives past them: where they are hooked, whether they drop, whether they go by connections, whether they translate; and what they
// would do to one datagram, which it works out and asks nobody: [Rules.Judge]. Rules of the old iptables are not read.
package netfilter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Rules are the rules of a network namespace.
type Rules struct {
	// Chains are the base chains of nftables that datagrams of this host can meet; iptables-nft makes such, too.
	Chains []Chain
	// Err is why they are not known; Legacy are tables of the other iptables, whose rules are not read, and LegacyErr is why
	// these are not known.
	Err       error
	Legacy    []string
	LegacyErr error

	raw  ruleset
	sets sets
}

// Read must be called on a thread in the namespace. It needs CAP_NET_ADMIN there, and root for the tables of iptables.
func Read() Rules {
	var r Rules
	raw, err := dump()
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
		// a kernel without nftables
	case errors.Is(err, unix.EPERM):
		r.Err = fmt.Errorf("read the rules of nftables (needs CAP_NET_ADMIN): %w", err)
	case err != nil:
		r.Err = fmt.Errorf("read the rules of nftables: %w", err)
	default:
		r.raw, r.sets = raw, sets{}
		r.Chains = raw.chains(r.sets)
	}
	for _, name := range []string{"ip_tables_names", "ip6_tables_names"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			r.LegacyErr = fmt.Errorf("read the tables of iptables: %w", err)
		default:
			r.Legacy = append(r.Legacy, strings.Fields(string(b))...)
		}
	}
	slices.Sort(r.Legacy)
	r.Legacy = slices.Compact(r.Legacy)
	return r
}

// Beside are the chains of ingress or egress for other devices than this one, which it may have below it.
func (r *Rules) Beside(h Hook, device string) (out []Chain) {
	for _, c := range r.Chains {
		if c.Hook == h && len(c.Device) > 0 && !serves(c.Device, device) {
			out = append(out, c)
		}
	}
	return out
}

// At are the chains of a hook; of ingress and egress only those for the device.
func (r *Rules) At(h Hook, device string) (out []Chain) {
	for _, c := range r.Chains {
		if c.Hook == h && (len(c.Device) == 0 || serves(c.Device, device)) {
			out = append(out, c)
		}
	}
	return out
}
