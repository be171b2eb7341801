// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	borrow "github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
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

// TestRulesOfBridges: rules of family bridge, and those at egress of a port, are met by what AF_XDP sends through a bridge, and doctor says that
// they may drop it.
func TestRulesOfBridges(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	const dst = "10.78.0.2:9000"
	count := []firewall.Rule{{&expr.Counter{}}}
	for _, tc := range []struct {
		family nftables.TableFamily
		chain  firewall.Chain
		told   string
	}{
		{nftables.TableFamilyBridge, firewall.Chain{Hook: nftables.ChainHookOutput, Rules: count}, "rules of the bridge (bridge host chain0)"},
		{nftables.TableFamilyNetdev, firewall.Chain{Hook: nftables.ChainHookEgress, Device: "wsk0", Rules: count}, "egress of devices below (netdev host chain0)"},
	} {
		t.Run(tc.told, func(t *testing.T) {
			l, ns := lab(t, testenv.Topology{NoIPv6: true, Neighbours: testenv.Static})
			device(func(_ *testenv.Lab, a netlink.LinkAttrs) netlink.Link {
				return &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: a.Name}}
			})(t, l)
			err := firewall.Apply(l.A.NS, tc.family, tc.chain)
			if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
				t.Skipf("this kernel has no such rules: %v", err)
			}
			must(t, err)
			o := doctor.Options{NetNS: borrow.Borrow(l.A.NS.FD()), Trial: &doctor.TrialFacts{}, UserNS: notTried}
			must(t, doctorArgs([]string{dst}, &o))
			facts, err := doctor.Gather(t.Context(), o)
			must(t, err)
			if says := facts.Path.Carriage; says.By != doctor.ByAFXDP || !strings.Contains(strings.Join(says.Unless, " "), tc.told) {
				t.Errorf("%+v, want %q", says, tc.told)
			}
			if is := carried(t, 3, []string{"send", ns, dst, "-n", "3", "--json"}); is != doctor.ByAFXDP {
				t.Errorf("carried by %s", is)
			}
			c, err := nftables.New(nftables.WithNetNSFd(l.A.NS.FD()))
			must(t, err)
			table := &nftables.Table{Family: tc.family, Name: "host"}
			rules, err := c.GetRules(table, &nftables.Chain{Name: "chain0", Table: table})
			must(t, err)
			if n := rules[0].Exprs[0].(*expr.Counter).Packets; n < 3 {
				t.Errorf("%s: the rule has seen %d of 3 frames", tc.told, n)
			}
		})
	}
}
