// SPDX-License-Identifier: Apache-2.0

package units

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// refuses ends in an error for each text, which leaves the value as it was.
func refuses[T comparable](t *testing.T, set func(*T, string) error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		var v, before T
		if err := set(&v, text); err == nil {
			t.Errorf("%q is taken as %v", text, v)
		} else if v != before {
			t.Errorf("%q changes the value to %v", text, v)
		}
	}
}

func TestRate(t *testing.T) {
	for in, want := range map[string]Rate{
		"100k": PacketsPerSecond(100_000), "100kpps": PacketsPerSecond(100_000), "1.5Mpps": PacketsPerSecond(1_500_000),
		"2.3k": PacketsPerSecond(2300), "7pps": PacketsPerSecond(7), "max": {}, "unlimited": {}, "0.001M": PacketsPerSecond(1000),
		"1000G": PacketsPerSecond(1e12), "0.5": {ratePackets, 500_000}, "0.000001": {ratePackets, 1}, "10Gbit": {rateBits, 1e16},
		"2.5Gbit/s": {rateBits, 25e14}, "5Mbps": {rateBits, 5e12}, "9bps/s": {rateBits, 9e6}, "5%": {rateShare, 5e6}, "0.1%": {rateShare, 1e5},
	} {
		r := Rate{ratePackets, 5}
		if err := r.Set(in); err != nil || r != want {
			t.Errorf("%q: %+v, %v; want %+v", in, r, err, want)
		}
		var again Rate
		if err := again.Set(r.String()); err != nil || again != r {
			t.Errorf("%q becomes %q, which is %+v, %v", in, r.String(), again, err)
		}
	}
	refuses(t, (*Rate).Set, "", "0", "0.0", "-1", "k", "1e6", "0x10", "1_000", "NaN", "inf", "1001G", "1 k", "pps", "1K", "1m", "1g",
		"0.0000001", "101%", "1k%", "10GB", "10Mbyte", "1/s", "5%%", "1.5.5", ".", "1001Gbit", "10Gbit/s/s", "5kk",
		"99999999999999999999999999999999999999999999")
}

func TestRateInPackets(t *testing.T) {
	small := Load{Packets: 1, Bits: 84 * 8}
	for _, c := range []struct {
		rate  string
		load  Load
		speed uint64
		want  uint64 // 0: an error
	}{
		{"10Gbit", small, 0, 14_880_952_380_952},
		{"1k", small, 0, 1000 * MicroPerPacket},
		{"5%", small, 10e9, 744_047_619_047},
		{"100%", Load{12, (7*84 + 4*614 + 1538) * 8}, 1e9, 327_367_961_588},
		{"5%", small, 0, 0},
		{"1bit", Load{1, 1 << 40}, 0, 0},
		{"1Gbit", Load{1, 0}, 0, 0},
		{"100%", small, 1e18, 0},
	} {
		var r Rate
		if err := r.Set(c.rate); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Packets(c.load, c.speed); got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%s of %+v at %d: %d, %v; want %d", c.rate, c.load, c.speed, got, err, c.want)
		}
	}
	if got, err := (Rate{}).Packets(small, 0); got != 0 || err != nil {
		t.Errorf("max: %d, %v", got, err)
	}
}

func TestCount(t *testing.T) {
	for in, want := range map[string]Count{"0": 0, "10M": 10_000_000, "250k": 250_000, "2.5k": 2500, "18446744073709551615": 1<<64 - 1} {
		var c Count
		if err := c.Set(in); err != nil || c != want {
			t.Errorf("%q: %d, %v; want %d", in, c, err, want)
		}
	}
	refuses(t, (*Count).Set, "", "many", "-5", "2.5", "99999999999G", "5m", "5 k", "0x5", "1k5")
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"10": 10 * time.Second, "0.5": 500 * time.Millisecond, "0": 0, "0s": 0, "5s": 5 * time.Second, "1h30m": 90 * time.Minute,
		"2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "1.5d": 36 * time.Hour, "300ms": 300 * time.Millisecond, "1us": 1000, "7µs": 7000,
		"9223372036854775807ns": math.MaxInt64,
	} {
		d := Duration(5)
		if err := d.Set(in); err != nil || d != Duration(want) {
			t.Errorf("%q: %v, %v; want %v", in, d, err, want)
		}
	}
	refuses(t, (*Duration).Set, "", "soon", "-1s", "-5", "5 s", "1w", "1e3s", "0x1s", "s", "9223372036854775808ns", "0.1ns", "999999d", "5s5", "1..5s")
}

func TestSizes(t *testing.T) {
	for in, want := range map[string][]int{
		"64": {64}, "64,512,1518": {64, 512, 1518}, "64-67": {64, 65, 66, 67}, "64,70-71": {64, 70, 71},
		"imix":              {64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64},
		"imix:64=1,1518=1":  {64, 1518},
		"imix:100=2":        {100, 100},
		"imix:64=3,65573=1": {64, 64, 65573, 64},
	} {
		var z Sizes
		if err := z.Set(in); err != nil || len(z.Cycle()) != len(want) {
			t.Errorf("%q: %v, %v; want %v", in, z.Cycle(), err, want)
			continue
		}
		got := z.Cycle()
		if in == "imix" { // the order of equals is not what matters
			got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
	for _, in := range []string{"", "x", "64,", "64-", "-64", "67-64", "64=7", "imix:64", "imix:64=0", "imix:64-65=1", "imix:", "64k", "1e3",
		"65574", "99999999999999999999", "64-65573,64-65573,64-200", "imix:64=1001", "+64", "64;512"} {
		var z Sizes
		if err := z.Set(in); err == nil || z.text != "" {
			t.Errorf("%q is taken as %+v", in, z)
		}
	}
	var z Sizes
	if err := z.Set("64,1518"); err != nil {
		t.Fatal(err)
	}
	if each, err := z.Each(); err != nil || !slices.Equal(each, []int{64, 1518}) {
		t.Errorf("%v, %v", each, err)
	}
	for _, in := range []string{"imix", "64-65"} {
		if err := z.Set(in); err != nil {
			t.Fatal(err)
		}
		if each, err := z.Each(); err == nil {
			t.Errorf("%s is compared as %v", in, each)
		}
	}
}

// A mix has its shares, and no size waits longer than it must.
func TestMixIsEven(t *testing.T) {
	var z Sizes
	if err := z.Set("imix"); err != nil {
		t.Fatal(err)
	}
	count := map[int]int{}
	run, longest := 0, 0
	for _, n := range slices.Concat(z.Cycle(), z.Cycle()) {
		count[n]++
		if run++; n != 64 {
			run = 0
		}
		longest = max(longest, run)
	}
	if count[64] != 14 || count[594] != 8 || count[1518] != 2 || longest > 2 {
		t.Errorf("%v, up to %d small ones in a row: %v", count, longest, z.Cycle())
	}
}

func TestAddresses(t *testing.T) {
	for in, want := range map[string]struct {
		n           uint64
		first, last string
	}{
		"10.0.0.7":             {1, "10.0.0.7", "10.0.0.7"},
		"10.0.0.0/24":          {254, "10.0.0.1", "10.0.0.254"},
		"10.0.0.0/31":          {2, "10.0.0.0", "10.0.0.1"},
		"10.0.0.0/32":          {1, "10.0.0.0", "10.0.0.0"},
		"10.0.0.250-10.0.1.3":  {10, "10.0.0.250", "10.0.1.3"},
		"::ffff:10.0.0.7":      {1, "10.0.0.7", "10.0.0.7"},
		"fd00::/126":           {4, "fd00::", "fd00::3"},
		"fd00::ffff-fd00::1:2": {4, "fd00::ffff", "fd00::1:2"},
		"fd00::/64":            {math.MaxUint64, "fd00::", "fd00::ffff:ffff:ffff:fffe"},
		"::-ffff::":            {math.MaxUint64, "::", "::ffff:ffff:ffff:fffe"},
		"fd00::f:ffff:ffff:ffff:ffff-fd00:0:0:10::5": {7, "fd00::f:ffff:ffff:ffff:ffff", "fd00:0:0:10::5"},
		"0.0.0.0-255.255.255.255":                    {1 << 32, "0.0.0.0", "255.255.255.255"},
	} {
		var a Addresses
		if err := a.Set(in); err != nil || a.Len() != want.n || a.At(0) != netip.MustParseAddr(want.first) ||
			a.At(want.n-1) != netip.MustParseAddr(want.last) || a.Is4() != a.At(0).Is4() || !a.IsSet() {
			t.Errorf("%q: %d from %v to %v, %v; want %+v", in, a.Len(), a.At(0), a.At(want.n-1), err, want)
		}
	}
	refuses(t, (*Addresses).Set, "", "x", "10.0.0", "10.0.0.0/33", "10.0.0.5/24", "10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1", "10.0.0.1-",
		"-10.0.0.1", "10.0.0.1-5", "fe80::1%eth0", "10.0.0.1/", "::ffff:10.0.0.0/120", "10.0.0.1-10.0.0.2-10.0.0.3")
}

func TestPorts(t *testing.T) {
	for in, want := range map[string]Ports{"9000": {9000, 9000}, "9000-9099": {9000, 9099}, "1-65535": {1, 65535}, "7-7": {7, 7}} {
		var p Ports
		if err := p.Set(in); err != nil || p != want || p.Len() != uint64(want.last-want.first)+1 || p.At(p.Len()-1) != want.last {
			t.Errorf("%q: %v, %v", in, p, err)
		}
	}
	refuses(t, (*Ports).Set, "", "0", "65536", "-1", "9099-9000", "9000-", "http", "9000-70000", "+5", "1_0", "0-5", "9000,9001")
	if (Ports{}).Len() != 0 || (Ports{}).IsSet() {
		t.Error("the zero value is not empty")
	}
}
