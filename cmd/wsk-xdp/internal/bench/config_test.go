// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
)

func goodConfig() Config {
	return Config{
		Engines: DefaultEngines(), Sizes: []int{64}, Queues: 1, Destinations: 1, Runs: 5,
		Duration: time.Second, Warmup: check.DefaultWarmup,
	}
}

func TestCheck(t *testing.T) {
	c := goodConfig()
	if err := c.Check(); err != nil {
		t.Fatalf("defaults: %v", err)
	}
	to := netip.MustParseAddrPort("192.0.2.1:9")
	for _, tc := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Engines = []string{"wsk", "dpdk"} }, `engine "dpdk" is none of wsk, wsk-kick, wsk-batch, `},
		{func(c *Config) { c.Engines = []string{"wsk", "wsk"} }, "engine wsk is given twice"},
		{func(c *Config) { c.Engines = nil }, "no engine to run"},
		{func(c *Config) { c.Externals = []External{{"c", "x"}, {"c", "y"}} }, "external c is given twice"},
		{func(c *Config) { c.Sizes = nil }, "no frame size"},
		{func(c *Config) { c.Sizes = []int{64, 128, 64} }, "size 64 is given twice"},
		{func(c *Config) { c.Sizes = []int{63} }, "size 63: "},
		{func(c *Config) { c.Sizes = []int{64, 65554} }, "size 65554 is above 65553"},
		{func(c *Config) { c.Queues = 0 }, "0 queues"},
		{func(c *Config) { c.Queues = 65 }, "65 queues"},
		{func(c *Config) { c.Destinations = 251 }, "251 destinations"},
		{func(c *Config) { c.MTUs = []int{67} }, "MTU 67"},
		{func(c *Config) { c.MTUs = []int{1500, 1500} }, "MTU 1500 is given twice"},
		{func(c *Config) { c.Interface, c.To, c.MTUs = "eth9", []netip.AddrPort{to}, []int{1500} }, "its own MTU"},
		{func(c *Config) { c.Runs = 0 }, "0 runs"},
		{func(c *Config) { c.Duration = time.Millisecond }, "duration 1ms"},
		{func(c *Config) { c.Warmup = -1 }, "warm-up"},
		{func(c *Config) { c.Pin = []int{0, -1} }, "CPU -1"},
		{func(c *Config) { c.Interface = "eth9" }, "an interface needs destinations"},
		{func(c *Config) { c.To = []netip.AddrPort{to} }, "an interface needs destinations"},
		{func(c *Config) { c.Interface, c.To, c.Destinations = "eth9", []netip.AddrPort{to}, 2 }, "number of destinations"},
		{func(c *Config) {
			c.Interface, c.To = "eth9", []netip.AddrPort{to, netip.MustParseAddrPort("[2001:db8::1]:9")}
		}, "destination [2001:db8::1]:9"},
		{func(c *Config) { c.Interface, c.To = "eth9", []netip.AddrPort{netip.MustParseAddrPort("224.0.0.1:9")} }, "destination 224.0.0.1:9"},
	} {
		c := goodConfig()
		tc.change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want it to say %q", err, tc.want)
		}
	}
}

func TestParseExternal(t *testing.T) {
	e, err := ParseExternal("c=./xsk_tx -i {if} -x a=b")
	if want := (External{"c", "./xsk_tx -i {if} -x a=b"}); err != nil || e != want {
		t.Errorf("%+v %v", e, err)
	}
	for _, bad := range []string{"", "c", "c=", "=x", " =x", "wsk=./mine"} {
		if e, err := ParseExternal(bad); err == nil {
			t.Errorf("%q was taken as %+v", bad, e)
		}
	}
}

func TestExpand(t *testing.T) {
	c := goodConfig()
	c.Queues, c.Duration = 2, 1500*time.Millisecond
	p := &place{iface: "wsk0"}
	const command = "s -i {if} -l {frame} -t {duration} -q {queues} -c {cpu} {else}"
	if got, want := expand(command, &c, p, 64), "s -i wsk0 -l 60 -t 4 -q 2 -c -1 {else}"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c.Pin = []int{1, 0}
	if got := expand("{cpu}", &c, p, 64); got != "1" {
		t.Errorf("cpu %q", got)
	}
}
