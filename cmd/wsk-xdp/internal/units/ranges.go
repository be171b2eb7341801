// SPDX-License-Identifier: Apache-2.0

package units

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// Addresses are IP addresses on the command line: one, a network (10.0.0.0/24, for IPv4 its hosts without the network's
// own address and the broadcast), or all from one to another (10.0.0.1-10.0.0.99). The zero value is none. It implements
// pflag.Value.
type Addresses struct {
	first netip.Addr
	count uint64 // saturates
	text  string
}

// String is the text that was parsed.
func (a Addresses) String() string { return a.text }

// Type names the form in help texts.
func (a *Addresses) Type() string { return "addresses" }

// IsSet is whether there are any.
func (a Addresses) IsSet() bool { return a.count > 0 }

// Len is how many there are; of more than 2⁶⁴−1 so many count.
func (a Addresses) Len() uint64 { return a.count }

// Is4 is whether they are of IPv4.
func (a Addresses) Is4() bool { return a.first.Is4() }

const addressForms = "write 10.0.0.7, 10.0.0.0/24 or 10.0.0.1-10.0.0.99"

// Set parses s.
func (a *Addresses) Set(s string) error {
	if strings.Contains(s, "/") {
		return a.setNetwork(s)
	}
	low, high, isRange := strings.Cut(s, "-")
	first, err := netip.ParseAddr(low)
	if err != nil || first.Zone() != "" {
		return fmt.Errorf("%q is no IP address and no range of them: %s", s, addressForms)
	}
	first = first.Unmap()
	last := first
	if isRange {
		if last, err = netip.ParseAddr(high); err != nil || last.Zone() != "" {
			return fmt.Errorf("%q is no range: %q is no IP address, %s", s, high, addressForms)
		}
		last = last.Unmap()
	}
	switch {
	case first.Is4() != last.Is4():
		return fmt.Errorf("%q runs from one IP version to the other", s)
	case last.Less(first):
		return fmt.Errorf("%q runs backwards: write %v-%v", s, last, first)
	}
	*a = Addresses{first, span(first, last), s}
	return nil
}

func (a *Addresses) setNetwork(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is no network: %s", s, addressForms)
	}
	if p.Addr().Is4In6() {
		return fmt.Errorf("%q mixes IPv4 and IPv6: %s", s, addressForms)
	}
	if p != p.Masked() {
		return fmt.Errorf("%q is no network: its address has bits behind the prefix, write %v", s, p.Masked())
	}
	host := p.Addr().BitLen() - p.Bits()
	count := uint64(math.MaxUint64)
	if host < 64 {
		count = 1 << host
	}
	first := p.Addr()
	if first.Is4() && host >= 2 {
		first, count = first.Next(), count-2
	}
	*a = Addresses{first, count, s}
	return nil
}

// span is how many addresses there are from first to last.
func span(first, last netip.Addr) uint64 {
	hi1, lo1 := halves(first)
	hi2, lo2 := halves(last)
	lo, borrow := bits.Sub64(lo2, lo1, 0)
	hi, _ := bits.Sub64(hi2, hi1, borrow)
	if hi > 0 || lo == math.MaxUint64 {
		return math.MaxUint64
	}
	return lo + 1
}

func halves(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// At is address number i, which is below Len.
func (a Addresses) At(i uint64) netip.Addr {
	hi, lo := halves(a.first)
	lo, carry := bits.Add64(lo, i, 0)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi+carry)
	binary.BigEndian.PutUint64(b[8:], lo)
	out := netip.AddrFrom16(b)
	if a.first.Is4() {
		return out.Unmap()
	}
	return out
}

// Ports are UDP ports on the command line: one, or all from one to another (9000-9099). The zero value is none. It
// implements pflag.Value.
type Ports struct{ first, last uint16 }

// String is the range as Set takes it.
func (p Ports) String() string {
	switch {
	case p.first == 0:
		return ""
	case p.first == p.last:
		return strconv.Itoa(int(p.first))
	}
	return fmt.Sprintf("%d-%d", p.first, p.last)
}

// Type names the form in help texts.
func (p *Ports) Type() string { return "ports" }

// IsSet is whether there are any.
func (p Ports) IsSet() bool { return p.first > 0 }

// Len is how many there are.
func (p Ports) Len() uint64 {
	if p.first == 0 {
		return 0
	}
	return uint64(p.last-p.first) + 1
}

// At is port number i, which is below Len.
func (p Ports) At(i uint64) uint16 { return p.first + uint16(i) }

// Set parses s.
func (p *Ports) Set(s string) error {
	low, high, isRange := strings.Cut(s, "-")
	first, err := onePort(low)
	if err != nil {
		return err
	}
	last := first
	if isRange {
		if last, err = onePort(high); err != nil {
			return err
		}
	}
	if last < first {
		return fmt.Errorf("%q runs backwards: write %d-%d", s, last, first)
	}
	*p = Ports{first, last}
	return nil
}

func onePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || strings.ContainsAny(s, "+_") {
		return 0, fmt.Errorf("%q is no port: ports are 1 to 65535, a range is 9000-9099", s)
	}
	return uint16(n), nil
}

// PortRange is the range from first to last, of which neither is 0.
func PortRange(first, last uint16) Ports { return Ports{first, last} }

// OnePort is the range of one port, or none for 0.
func OnePort(p uint16) Ports { return Ports{p, p} }
