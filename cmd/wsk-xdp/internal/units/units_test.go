// SPDX-License-Identifier: Apache-2.0

package units

import "testing"

func TestRate(t *testing.T) {
	for in, want := range map[string]Rate{
		"100k": 100_000, "100kpps": 100_000, "1.5M": 1_500_000, "1.5Mpps": 1_500_000, "2.3k": 2300, "1": 1, "7pps": 7,
		"max": Unlimited, "unlimited": Unlimited, "0.001M": 1000, "1G": 1e9, "1000G": 1e12,
	} {
		var r Rate = 5
		if err := r.Set(in); err != nil || r != want {
			t.Errorf("%q: %d, %v; want %d", in, r, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "1.5", "0.0001k", "10Gbit", "5Mbps", "k", "1e6", "0x10", "1_000", "NaN", "inf", "1001G", "1 k", "pps"} {
		var r Rate = 5
		if err := r.Set(in); err == nil {
			t.Errorf("%q is taken as %d", in, r)
		} else if r != 5 {
			t.Errorf("%q changes the value to %d", in, r)
		}
	}
}

func TestCount(t *testing.T) {
	for in, want := range map[string]Count{"0": 0, "10M": 10_000_000, "250k": 250_000, "18446744073709551615": 1<<64 - 1} {
		var c Count
		if err := c.Set(in); err != nil || c != want {
			t.Errorf("%q: %d, %v; want %d", in, c, err, want)
		}
	}
	for _, in := range []string{"", "many", "-5", "2.5", "99999999999G"} {
		var c Count
		if err := c.Set(in); err == nil {
			t.Errorf("%q is taken as %d", in, c)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Grouped(0), "0"}, {Grouped(999), "999"}, {Grouped(1000), "1,000"}, {Grouped(12345678), "12,345,678"},
		{PacketRate(100_000), "100.000 kpps"}, {PacketRate(999), "999 pps"}, {BitRate(67.2e6), "67.200 Mbit/s"}, {BitRate(1e9), "1.000 Gbit/s"},
		{Nanoseconds(850), "850ns"}, {Nanoseconds(1800), "1.8µs"}, {Nanoseconds(18_000), "18µs"}, {Nanoseconds(2_100_000), "2.1ms"},
		{Nanoseconds(300_000_000), "300ms"}, {Nanoseconds(3_001_000_000), "3.00s"},
		{Bytes(512), "512 B"}, {Bytes(4 << 20), "4.0 MiB"}, {Bytes(8 << 10), "8.0 KiB"}, {Bytes(3 << 30), "3.0 GiB"},
		{Plural(1, "flow"), "1 flow"}, {Plural(0, "flow"), "0 flows"}, {Plural(2048, "IRP"), "2,048 IRPs"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
