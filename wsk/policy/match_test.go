// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"os"
	"os/user"
	"strconv"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

const allowTail = "destination = [\"10.0.0.0/8\"]\n"

func TestMatch(t *testing.T) {
	p := parse(t, preamble+`
[[allow]]
name = "both"
user = "telemetry"
unit = "t.service"
`+allowTail+`
[[deny]]
name = "guests"
group = "guests"
[[allow]]
name = "telemetry"
user = "telemetry"
`+allowTail+`
[[allow]]
name = "pods"
listener = "pods"
`+allowTail+`
[[allow]]
name = "sensors"
gid = 2001
group = "sensors"
`+allowTail+`
[[deny]]
name = "root"
uid = 0
[[allow]]
name = "late"
uid = 0
`+allowTail)
	inUnit := func(want string) func(string) bool { return func(unit string) bool { return unit == want } }
	for _, tt := range []struct {
		name    string
		id      policy.Identity
		rule    string
		granted bool
	}{
		{"nobody", policy.Identity{UID: 5, GID: 5}, "", false},
		{"user and unit", policy.Identity{UID: 1001, InUnit: inUnit("t.service")}, "both", true},
		{"user in another unit", policy.Identity{UID: 1001, InUnit: inUnit("u.service")}, "telemetry", true},
		{"user in no unit", policy.Identity{UID: 1001}, "telemetry", true},
		{"unit of another user", policy.Identity{UID: 5, InUnit: inUnit("t.service")}, "", false},
		{"denied before allowed", policy.Identity{UID: 1001, GID: 2002}, "guests", false},
		{"allowed before denied", policy.Identity{UID: 1001, GID: 2002, InUnit: inUnit("t.service")}, "both", true},
		{"supplementary group", policy.Identity{UID: 5, Groups: []uint32{1, 2002}}, "guests", false},
		{"group, by both", policy.Identity{UID: 5, GID: 2001}, "sensors", true},
		{"listener", policy.Identity{UID: 5, Listener: "pods"}, "pods", true},
		{"another listener", policy.Identity{UID: 5, Listener: "default"}, "", false},
		{"root is nobody special", policy.Identity{}, "root", false},
	} {
		grant, rule := p.Match(&tt.id)
		if rule != tt.rule || (grant != nil) != tt.granted {
			t.Errorf("%s: got %q, granted %t, want %q, %t", tt.name, rule, grant != nil, tt.rule, tt.granted)
		}
		if grant != nil && grant.Name != rule {
			t.Errorf("%s: grant %q of rule %q", tt.name, grant.Name, rule)
		}
	}
}

// TestNothingIsGrantedByNothing: the file that is shipped.
func TestNothingIsGrantedByNothing(t *testing.T) {
	p := parse(t, "version = 1\n")
	for _, id := range []policy.Identity{{}, {UID: 1001}, {Listener: "pods"}} {
		if grant, rule := p.Match(&id); grant != nil || rule != "" {
			t.Errorf("%+v has grant %v of %q", id, grant, rule)
		}
	}
}

// TestUnitIsAskedLast: to find it costs system calls, and the answer does not matter when the user is another one.
func TestUnitIsAskedLast(t *testing.T) {
	p := parse(t, preamble+"[[deny]]\nname = \"d\"\nunit = \"t.service\"\nuid = 7\ngid = 7\nlistener = \"l\"\n")
	for _, id := range []policy.Identity{{UID: 8, GID: 7, Listener: "l"}, {UID: 7, GID: 8, Listener: "l"}, {UID: 7, GID: 7}} {
		id.InUnit = func(string) bool {
			t.Errorf("asked for the unit of %+v", id)
			return true
		}
		p.Match(&id)
	}
}

func TestUnitNeedsKernel(t *testing.T) {
	old := host
	old.Units = false
	_, err := policy.Parse("p.toml", []byte(preamble+"[[deny]]\nname = \"d\"\nunit = \"t.service\"\n"), old)
	const want = "p.toml:6:8: the units of processes can't be told here " +
		"(that takes Linux 6.13, and all of cgroup2 at /sys/fs/cgroup): use user or listener"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestNamesOfTheHost: without functions of its own a Host asks package os/user.
func TestNamesOfTheHost(t *testing.T) {
	me, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		t.Fatalf("the test runs as a user without a name: %v", err)
	}
	uid, err := strconv.ParseUint(me.Uid, 10, 32)
	if err != nil {
		t.Skip("users have no numbers here") // Windows
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		t.Fatal(err)
	}
	gid, _ := strconv.ParseUint(group.Gid, 10, 32)
	text := preamble + "[[deny]]\nname = \"me\"\nuser = \"" + me.Username + "\"\ngroup = \"" + group.Name + "\"\n"
	p, err := policy.Parse("p.toml", []byte(text), policy.Host{})
	if err != nil {
		t.Fatal(err)
	}
	if _, rule := p.Match(&policy.Identity{UID: uint32(uid), GID: uint32(gid)}); rule != "me" {
		t.Errorf("I am matched by %q", rule)
	}
	text = preamble + "[[deny]]\nname = \"x\"\nuser = \"no-such-user-x\"\ngroup = \"no-such-group-x\"\n"
	if _, err := policy.Parse("p.toml", []byte(text), policy.Host{}); err == nil || len(err.(policy.Errors)) != 2 {
		t.Errorf("names that nobody has: %v", err)
	}
}
