// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A name is told from a mistyped address, which is not looked up.
func TestNameAndPort(t *testing.T) {
	for text, want := range map[string]string{
		"receiver.example:9000": "receiver.example", "host:9": "host", "a-b_c.example.:1": "a-b_c.example.", "10.example:9": "10.example",
		"10.0.0.256:9": "", "10.0.0:9": "", "host": "", "host:": "", "host:0": "", "host:65536": "", "host:+9": "", "host:9:9": "", ":9": "",
		"-host:9": "", "a..b:9": "", ".:9": "", "fd00::1:9": "", "[host]:9": "", "ho st:9": "", "höst:9": "", strings.Repeat("a.", 127) + "a:9": "",
	} {
		if host, _, ok := nameAndPort(text); host != want && ok || ok != (want != "") {
			t.Errorf("%q: %q, %v", text, host, ok)
		}
	}
}

// Names are looked up before the namespace is entered, and told; -4 and -6 hold what they are and what addresses are to be.
func TestDestinationNames(t *testing.T) {
	_, netns := lab(t, testenv.Topology{})
	for _, version := range []string{"-4", "--ipv4", "--source=127.0.0.1"} {
		cli(timeout(t), "send", netns, "localhost:9000", version).want(t, 0, "wsk-xdp send 127.0.0.1:9000", "localhost is 127.0.0.1")
	}
	r := cli(timeout(t), "blast", netns, "localhost:9000", "-4", "-n", "5", "-q", "--json")
	r.want(t, 0, "localhost is 127.0.0.1")
	if c := decode[blast.Report](t, r).Config; c.Name != "localhost" || c.Destination != "127.0.0.1:9000" {
		t.Errorf("%+v", c)
	}
	cli(timeout(t), "send", netns, "10.77.0.2:9000", "-4").want(t, 0)
	cli(timeout(t), "send", netns, "[fd77::2]:9000", "-6").want(t, 0)
	for args, want := range map[string]string{
		"10.77.0.2:9000 -6": "is an address of IPv4", "[fd77::2]:9000 -4": "is an address of IPv6", "10.77.0.2:9000 -4 -6": "contradict each other",
		"localhost:0": "no IP address or host", "no-such-host.invalid:9": "no-such-host.invalid",
	} {
		for _, verb := range []string{"send", "blast", "ping"} {
			r := cli(timeout(t), append([]string{verb, netns}, strings.Fields(args)...)...)
			if r.code != 2 && r.code != 3 || !strings.Contains(r.stderr, want) || goish.MatchString(r.stderr) {
				t.Errorf("%s %s: %v", verb, args, r)
			}
		}
	}
}
