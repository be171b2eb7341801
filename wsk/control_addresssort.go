// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/internal/ipaddr"
)

// candidate is a destination, with what the rules of RFC 6724 section 6 look at.
type candidate struct {
	to     Address
	from   Address // the source that a send to it would have
	usable bool
}

// sortCandidates puts the best first, by rules 1, 2, 5, 6, 8, 9 and 10. Rules 3, 4 and 7 need what is not known here:
// deprecated addresses, home addresses and tunnels.
func sortCandidates(list []candidate, source AddressSource) {
	for i := range list {
		var status NTSTATUS
		list[i].from, status = source.SourceFor(list[i].to)
		list[i].usable = status == STATUS_SUCCESS
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return a.compare(&b) })
}

// compare is negative when c is to be tried before o.
func (c *candidate) compare(o *candidate) int {
	if c.usable != o.usable { // rule 1: avoid unusable destinations
		return preferTrue(c.usable)
	}
	toC, toO := scopeOf(&c.to), scopeOf(&o.to)
	if c.usable {
		if m, n := toC == scopeOf(&c.from), toO == scopeOf(&o.from); m != n { // rule 2: prefer matching scope
			return preferTrue(m)
		}
	}
	policyC, policyO := policyOf(&c.to), policyOf(&o.to)
	if c.usable {
		m, n := policyC.label == policyOf(&c.from).label, policyO.label == policyOf(&o.from).label
		if m != n { // rule 5: prefer matching label
			return preferTrue(m)
		}
	}
	if n := cmp.Compare(policyO.precedence, policyC.precedence); n != 0 { // rule 6: prefer higher precedence
		return n
	}
	if n := cmp.Compare(toC, toO); n != 0 { // rule 8: prefer smaller scope
		return n
	}
	if c.usable && c.to.is4() == o.to.is4() { // rule 9: use longest matching prefix
		return cmp.Compare(commonBits(&o.to, &o.from), commonBits(&c.to, &c.from))
	}
	return 0 // rule 10: leave the order unchanged
}

func preferTrue(b bool) int {
	if b {
		return -1
	}
	return 1
}

// Scopes of RFC 4291 section 2.7, which unicast addresses have too (RFC 6724 section 3.1).
const (
	scopeLinkLocal = 2
	scopeSiteLocal = 5
	scopeGlobal    = 14
)

func scopeOf(a *Address) int {
	ip := ipaddr.Addr(a.Addr)
	switch {
	case ip.Is6() && ip.IsMulticast():
		return int(a.Addr[1] & 0xf)
	case ip.IsLoopback(), ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast():
		return scopeLinkLocal
	case ip.Is6() && a.Addr[0] == 0xfe && a.Addr[1]&0xc0 == 0xc0:
		return scopeSiteLocal
	}
	return scopeGlobal
}

// policy is a row of the default policy table, RFC 6724 section 2.1.
type policy struct {
	prefix            netip.Prefix
	precedence, label int
}

// policies are in the order of their prefix length, longest first.
var policies = [...]policy{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.MustParsePrefix("::ffff:0:0/96"), 35, 4},
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/0"), 40, 1},
}

func policyOf(a *Address) *policy {
	for i := range policies {
		if p := &policies[i]; hasPrefix(&a.Addr, p.prefix) {
			return p
		}
	}
	return &policies[len(policies)-1]
}

// hasPrefix is netip.Prefix.Contains without its rule that v4-mapped addresses are in no prefix.
func hasPrefix(a *[16]byte, prefix netip.Prefix) bool {
	p := prefix.Addr().As16()
	return commonPrefix(a, &p) >= prefix.Bits()
}

func commonBits(a, b *Address) int { return commonPrefix(&a.Addr, &b.Addr) }

func commonPrefix(a, b *[16]byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 128
}
