// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"math"
	"strconv"
	"strings"
)

// limits are those of a table, and of base what the table does not say.
func (p *parser) limits(path string, base Limits, f *fileLimits) Limits {
	excess := "wait"
	if base.Refuse {
		excess = "refuse"
	}
	l := Limits{
		Rate:            p.quantity(path+".rate", f.Rate, base.Rate, &packetRates),
		Bits:            p.quantity(path+".bits", f.Bits, base.Bits, &bitRates),
		Burst:           int(p.number(path+".burst", f.Burst, int64(base.Burst), 1, 1<<20)),
		Weight:          int(p.number(path+".weight", f.Weight, int64(base.Weight), 1, 64)),
		Sessions:        int(p.number(path+".sessions", f.Sessions, int64(base.Sessions), 1, 65536)),
		Sockets:         int(p.number(path+".sockets", f.Sockets, int64(base.Sockets), 1, 65536)),
		Memberships:     int(p.number(path+".memberships", f.Memberships, int64(base.Memberships), 0, 65536)),
		Inflight:        int(p.number(path+".inflight", f.Inflight, int64(base.Inflight), 1, 65536)),
		Memory:          p.quantity(path+".memory", f.Memory, base.Memory, &byteSizes),
		Destinations:    int(p.number(path+".destinations", f.Destinations, int64(base.Destinations), 1, 1<<20)),
		NewDestinations: p.quantity(path+".new_destinations", f.NewDestinations, base.NewDestinations, &perSecond),
		Size:            int(p.number(path+".size", f.Size, int64(base.Size), 0, 65527)),
		Fragments:       base.Fragments,
	}
	if f.Excess != nil {
		excess = p.word(path+".excess", f.Excess, "wait", "refuse")
	}
	l.Refuse = excess == "refuse"
	if f.Fragments != nil {
		l.Fragments = *f.Fragments
	}
	return l
}

// units are the ways to write a quantity: a whole number, and one of these behind it.
type units struct {
	names     []string
	factors   []uint64
	unlimited bool // the word is taken too, and means 0
}

var (
	packetRates = units{[]string{"pps", "kpps", "Mpps"}, []uint64{1, 1e3, 1e6}, true}
	bitRates    = units{[]string{"bit", "kbit", "Mbit", "Gbit"}, []uint64{1, 1e3, 1e6, 1e9}, true}
	byteSizes   = units{[]string{"KiB", "MiB", "GiB"}, []uint64{1 << 10, 1 << 20, 1 << 30}, false}
	perSecond   = units{[]string{"/s"}, []uint64{1}, false}
)

func (p *parser) quantity(path string, value *string, otherwise uint64, u *units) uint64 {
	switch {
	case value == nil:
		return otherwise
	case u.unlimited && *value == "unlimited":
		return 0
	}
	digits := strings.TrimRight(*value, "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	n, err := strconv.ParseUint(digits, 10, 64)
	for i, name := range u.names {
		if err != nil || name != (*value)[len(digits):] {
			continue
		}
		if n == 0 || n > math.MaxInt64/u.factors[i] {
			break
		}
		return n * u.factors[i]
	}
	p.at(path, "%q is not a whole number above 0 with one of %q behind it", *value, u.names)
	return otherwise
}
