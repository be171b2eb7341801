// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// host knows two users and two groups, and nothing of the machine that the test runs on.
var host = policy.Host{
	User:  table("user", map[string]uint32{"telemetry": 1001, "backup": 1002}),
	Group: table("group", map[string]uint32{"sensors": 2001, "guests": 2002}),
	Units: true,
}

func table(what string, ids map[string]uint32) func(string) (uint32, error) {
	return func(name string) (uint32, error) {
		id, ok := ids[name]
		if !ok {
			return 0, fmt.Errorf("no %s %s", what, name)
		}
		return id, nil
	}
}

// Interfaces of the tests by their places.
const (
	eth0 = iota
	eth1
)

// preamble is what every file of the tests begins with.
const preamble = "version = 1\n[interface.eth0]\n[interface.eth1]\n"

func parse(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("p.toml", []byte(text), host)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return p
}

// granted is the grant of a file with one [[allow]], for uid 7, of which lines are the rest.
func granted(t testing.TB, lines string) *policy.Grant {
	t.Helper()
	p := parse(t, preamble+"[[allow]]\nname = \"a\"\nuid = 7\n"+lines)
	g, rule := p.Match(&policy.Identity{UID: 7})
	if g == nil || rule != "a" {
		t.Fatalf("uid 7 has no grant: %v, %q", g, rule)
	}
	return g
}

func addr(text string) [16]byte { return netip.MustParseAddr(text).As16() }
