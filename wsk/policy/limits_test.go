// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

func TestLimits(t *testing.T) {
	builtin := policy.Limits{
		Rate: 200_000, Burst: 4096, Weight: 1, Sessions: 64, Sockets: 8, Memberships: 64, Inflight: 4096, Memory: 16 << 20, Destinations: 1024,
		NewDestinations: 1000, Size: 65527, Fragments: true,
	}
	with := func(change func(*policy.Limits)) policy.Limits {
		l := builtin
		change(&l)
		return l
	}
	for _, tt := range []struct {
		defaults, allow string
		want            policy.Limits
	}{
		{"", "", builtin},
		{"", "rate = \"1Mpps\"", with(func(l *policy.Limits) { l.Rate = 1e6 })},
		{"", "rate = \"7pps\"", with(func(l *policy.Limits) { l.Rate = 7 })},
		{"", "rate = \"unlimited\"", with(func(l *policy.Limits) { l.Rate = 0 })},
		{"rate = \"5kpps\"", "", with(func(l *policy.Limits) { l.Rate = 5000 })},
		{"rate = \"5kpps\"", "rate = \"6kpps\"", with(func(l *policy.Limits) { l.Rate = 6000 })},
		{"rate = \"5kpps\"", "rate = \"unlimited\"", with(func(l *policy.Limits) { l.Rate = 0 })},
		{"", "bits = \"1Gbit\"", with(func(l *policy.Limits) { l.Bits = 1e9 })},
		{"", "bits = \"3Mbit\"", with(func(l *policy.Limits) { l.Bits = 3e6 })},
		{"", "bits = \"3kbit\"", with(func(l *policy.Limits) { l.Bits = 3000 })},
		{"", "bits = \"3bit\"", with(func(l *policy.Limits) { l.Bits = 3 })},
		{"", "burst = 1", with(func(l *policy.Limits) { l.Burst = 1 })},
		{"", "excess = \"refuse\"", with(func(l *policy.Limits) { l.Refuse = true })},
		{"excess = \"refuse\"", "", with(func(l *policy.Limits) { l.Refuse = true })},
		{"excess = \"refuse\"", "excess = \"wait\"", builtin},
		{"", "weight = 64", with(func(l *policy.Limits) { l.Weight = 64 })},
		{"", "sessions = 3", with(func(l *policy.Limits) { l.Sessions = 3 })},
		{"sessions = 3", "", with(func(l *policy.Limits) { l.Sessions = 3 })},
		{"", "sockets = 2", with(func(l *policy.Limits) { l.Sockets = 2 })},
		{"", "memberships = 0", with(func(l *policy.Limits) { l.Memberships = 0 })},
		{"memberships = 7", "", with(func(l *policy.Limits) { l.Memberships = 7 })},
		{"", "inflight = 65536", with(func(l *policy.Limits) { l.Inflight = 65536 })},
		{"", "memory = \"1KiB\"", with(func(l *policy.Limits) { l.Memory = 1024 })},
		{"", "memory = \"2GiB\"", with(func(l *policy.Limits) { l.Memory = 2 << 30 })},
		{"", "destinations = 1", with(func(l *policy.Limits) { l.Destinations = 1 })},
		{"", "new_destinations = \"10/s\"", with(func(l *policy.Limits) { l.NewDestinations = 10 })},
		{"", "size = 0", with(func(l *policy.Limits) { l.Size = 0 })},
		{"", "fragments = false", with(func(l *policy.Limits) { l.Fragments = false })},
		{"fragments = false", "", with(func(l *policy.Limits) { l.Fragments = false })},
		{"fragments = false", "fragments = true", builtin},
	} {
		p := parse(t, preamble+"[defaults]\n"+tt.defaults+"\n[[allow]]\nname = \"a\"\nuid = 7\n"+allowTail+tt.allow)
		if got := p.Grants()[0].Limits; got != tt.want {
			t.Errorf("[defaults] %q, [[allow]] %q:\n got %+v\nwant %+v", tt.defaults, tt.allow, got, tt.want)
		}
	}
}
