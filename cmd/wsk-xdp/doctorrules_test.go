// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"testing"

	"github.com/google/nftables"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
)

// TestDoctorRulesUnread: an ordinary user is told what can't be read, with what to do, and what can be read all the same.
func TestDoctorRulesUnread(t *testing.T) {
	testenv.Require(t, testenv.Root)
	l, _ := lab(t, testenv.Topology{NoIPv6: true})
	if err := firewall.Apply(l.A.NS, nftables.TableFamilyINet, firewall.Stateful()); err != nil {
		t.Fatal(err)
	}
	if err := l.A.NS.Sysctl("ipv4/conf/all/rp_filter", "1"); err != nil {
		t.Fatal(err)
	}
	r := outcome(t, ordinaryUser(t, "doctor", "wsk0", "--json"), func(cmd *exec.Cmd) error {
		return l.A.NS.Do(cmd.Run) // a child has the namespace of the thread that starts it
	})
	r.want(t, 0)
	got := map[string]string{}
	for _, f := range decode[doctorReport](t, r).Findings {
		got[f.ID] = string(f.Level) + " " + f.Title
		if f.Level != "ok" && (f.ID == "WX-NFT-01" || f.ID == "WX-IPT-01" || f.ID == "WX-IPSEC-01") && (f.Detail == "" || f.Remedy == "") {
			t.Errorf("%+v does not say why, or what to do", f)
		}
	}
	for id, want := range map[string]string{
		"WX-CT-01":    "ok the kernel tracks connections: of each flow it sends the first datagram and one every few seconds, so that answers get in",
		"WX-NFT-01":   "note not known what the rules of nftables are",
		"WX-IPT-01":   "note not known whether there are rules of the old iptables",
		"WX-IPSEC-01": "warn the IPsec policies can't be read: all datagrams go through the kernel's stack, for what it encrypts must not leave in clear",
		"WX-RPF-01":   "ok IPv4 sources are checked (rp_filter is strict): XDP receive asks the kernel about each",
		"WX-VRF-01":   "ok wsk0 belongs to no VRF",
		"WX-TC-01":    "note not known whether filters of tc or programs look at what leaves",
	} {
		if got[id] != want {
			t.Errorf("%s: %q, want %q", id, got[id], want)
		}
	}
	for _, id := range []string{"WX-NFT-IN-01", "WX-NFT-OUT-01"} {
		if got[id] != "" {
			t.Errorf("%s is told without knowing: %s", id, got[id])
		}
	}
}
