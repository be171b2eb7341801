// SPDX-License-Identifier: Apache-2.0

package units

import "testing"

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Grouped(0), "0"}, {Grouped(999), "999"}, {Grouped(1000), "1,000"}, {Grouped(12345678), "12,345,678"},
		{PacketRate(100_000), "100.000 kpps"}, {PacketRate(999), "999 pps"}, {PacketRate(0.5), "0.5 pps"}, {PacketRate(2.5), "2.5 pps"},
		{PacketRate(10), "10 pps"}, {PacketRate(100.0 / 3), "33.333 pps"}, {PacketRate(0), "0 pps"}, {PacketRate(0.000001), "0.000001 pps"},
		{BitRate(336), "336 bit/s"},
		{BitRate(67.2e6), "67.200 Mbit/s"}, {BitRate(1e9), "1.000 Gbit/s"},
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
