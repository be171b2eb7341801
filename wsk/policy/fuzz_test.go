// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// FuzzParse: whatever is in the file, there is a policy or there are errors with places in it; and a policy without an
// [[allow]] grants nothing.
func FuzzParse(f *testing.F) {
	f.Add([]byte("version = 1\n"))
	f.Add([]byte(preamble + "[[allow]]\nname = \"a\"\nuid = 7\n" + allowTail))
	f.Add([]byte(preamble + `allow = [{name = "a", uid = 7, destination = ["[2001:db8::1]:53,1-2"]}]` + "\n"))
	f.Add([]byte(preamble + `
[defaults]
rate = "unlimited"
bits = "1Gbit"
excess = "refuse"
[[deny]]
name = "d"
group = "guests"
[[allow]]
name = "a"
user = "telemetry"
unit = "t.service"
listener = "l"
interface = ["eth0"]
source = ["10.1.2.3", "interface"]
source_port = ["20000-20999", "ephemeral"]
destination = ["10.0.0.0/8", "2001:db8::/32:53,8000-8099"]
receive_from = []
multicast = ["239.1.0.0/16", "ff02::/16:9"]
dscp = [0, 46]
memory = "16MiB"
new_destinations = "1000/s"
`))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := string(text)
		p, err := policy.Parse("p.toml", text, host)
		if string(text) != before {
			t.Fatal("the text has changed")
		}
		if err == nil {
			ask(t, p)
			if len(p.Grants()) == 0 {
				if g, _ := p.Match(&policy.Identity{UID: 7}); g != nil {
					t.Fatal("a grant from nothing")
				}
			}
			return
		}
		var all policy.Errors
		if !errors.As(err, &all) || len(all) == 0 || p != nil {
			t.Fatalf("a policy %v and %v", p, err)
		}
		lines := strings.Split(before, "\n")
		for _, e := range all {
			if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+2 || e.Text == "" {
				t.Fatalf("%v is not a place in the file", e)
			}
		}
	})
}

// ask asks every question once: none may panic.
func ask(t *testing.T, p *policy.Policy) {
	for _, g := range p.Grants() {
		for _, to := range []string{"10.1.2.3", "2001:db8::1", "127.0.0.1", "239.1.2.3", "255.255.255.255", "fe80::1", "::"} {
			f := flow(to, 53)
			r := g.Admit(&f)
			if r != 0 && (r.Sentence() == "" || !strings.HasPrefix(r.String(), "policy.")) {
				t.Fatalf("reason %s", r)
			}
			g.Bind(&policy.Bind{Local: f.Destination, Interface: eth0})
			g.Join(f.Destination, eth0)
			g.Receives(f.Destination, 53, eth0, false)
		}
		g.Datagram(1, 1)
	}
}
