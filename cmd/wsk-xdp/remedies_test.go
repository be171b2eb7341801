// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	borrow "github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/firewall"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// ofTheKernel are findings that another kernel would change, and nothing else.
var ofTheKernel = []string{"WX-KERNEL-01", "WX-KERNEL-02", "WX-KERNEL-03", "WX-DIAG-01", "WX-NATIVE-01", "WX-ZEROCOPY-01"}

// What doctor says is to be done makes its line ok when it has been done, and it says so of nothing else.
func TestRemedies(t *testing.T) {
	trial := doctor.RunTrial()
	for _, c := range []struct {
		name   string
		id     string
		remedy string // its words
		args   []string
		broken func(t *testing.T, l *testenv.Lab) (mend func() error)
	}{
		{"the link is down", "WX-LINK-01", "ip link set wsk0 up", []string{"wsk0"}, func(t *testing.T, l *testenv.Lab) func() error {
			must(t, l.A.If.SetDown())
			return l.A.If.SetUp
		}},
		{"the other end is down", "WX-LINK-01", "set the other end", []string{"wsk0"}, func(t *testing.T, l *testenv.Lab) func() error {
			must(t, l.B.If.SetDown())
			return l.B.If.SetUp
		}},
		{"the MTU is too large", "WX-MTU-01", "ip link set wsk0 mtu 3520", []string{"wsk0"}, func(t *testing.T, l *testenv.Lab) func() error {
			must(t, setMTU(l.A.If, 9000))
			return func() error { return setMTU(l.A.If, 3520) }
		}},
		{"there is no route", "WX-ROUTE-01", "ip route add 192.0.2.1 via GATEWAY", []string{"192.0.2.1"}, func(t *testing.T, l *testenv.Lab) func() error {
			return func() error { return l.A.If.AddRoute(netip.MustParsePrefix("192.0.2.1/32"), l.B.IPv4()) }
		}},
		{"the neighbour is not known", "WX-NEIGH-01", "ping -c 1 10.77.0.2", []string{"10.77.0.2"}, func(t *testing.T, l *testenv.Lab) func() error {
			return func() error { return l.A.If.SetNeighbour(l.B.IPv4(), l.B.If.MAC()) }
		}},
		{"the neighbour is silent", "WX-NEIGH-01", "ping -c 1 10.77.0.66", []string{"10.77.0.66"}, func(t *testing.T, l *testenv.Lab) func() error {
			silent := netip.MustParseAddr("10.77.0.66")
			must(t, l.A.NS.Do(func() error {
				return netlink.NeighSet(&netlink.Neigh{LinkIndex: l.A.If.Index(), IP: silent.AsSlice(), State: netlink.NUD_FAILED})
			}))
			return func() error { return l.A.If.SetNeighbour(silent, l.B.If.MAC()) } // it is there now, as a ping shows
		}},
		{"answers are refused", "WX-ANSWER-01", "net.ipv4.conf.wsk0.rp_filter=2", []string{"wsk0", "198.51.100.1"}, func(t *testing.T, l *testenv.Lab) func() error {
			elsewhere := netip.MustParsePrefix("198.51.100.0/24")
			must(t, l.A.NS.Sysctl("ipv4/conf/wsk0/rp_filter", "1"))
			must(t, l.A.NS.Do(func() error {
				lo, err := netlink.LinkByName("lo")
				if err != nil {
					return err
				}
				_, to, err := net.ParseCIDR("198.51.100.1/32") // the better route, by another interface
				if err != nil {
					return err
				}
				return netlink.RouteAdd(&netlink.Route{Dst: to, LinkIndex: lo.Attrs().Index})
			}))
			must(t, l.A.If.AddRoute(elsewhere, l.B.IPv4()))
			return func() error { return l.A.NS.Sysctl("ipv4/conf/wsk0/rp_filter", "2") }
		}},
		{"answers are dropped", "WX-ANSWER-01", "nft insert rule inet host chain0 udp sport PORT accept", []string{"10.77.0.2:9000"}, func(t *testing.T, l *testenv.Lab) func() error {
			input := firewall.Chain{Hook: nftables.ChainHookInput, Drop: true}
			must(t, firewall.Apply(l.A.NS, nftables.TableFamilyINet, input))
			return func() error {
				input.Rules = []firewall.Rule{firewall.AcceptSourcePort(testPort)}
				return firewall.Apply(l.A.NS, nftables.TableFamilyINet, input)
			}
		}},
		{"a queue is held", "WX-QUEUE-02", "end that process", []string{"wsk0"}, func(t *testing.T, l *testenv.Lab) func() error {
			var s *xdp.Socket
			must(t, l.A.NS.Do(func() (err error) {
				s, err = xdp.Open(xdp.Options{Ifname: "wsk0", Mode: xdp.ModeCopy})
				return err
			}))
			return s.Close
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, _ := lab(t, testenv.Topology{NoIPv6: true})
			mend := c.broken(t, l)
			said := examine(t, l, trial, c.args...)
			if at := find(said, c.id); at == nil || at.Level == doctor.OK || !strings.Contains(at.Remedy, c.remedy) {
				t.Fatalf("%s says %+v", c.id, at)
			}
			must(t, mend())
			testenv.Eventually(t, setupTime, c.id+" to be ok", func() bool {
				at := find(examine(t, l, trial, c.args...), c.id)
				return at != nil && at.Level == doctor.OK
			})
			healthy(t, examine(t, l, trial, c.args...), "WX-NEIGH-01", "WX-NFT-IN-01")
		})
	}
	t.Run("rules look at ports", func(t *testing.T) {
		l, _ := lab(t, testenv.Topology{NoIPv6: true})
		rule := netlink.NewRule()
		rule.Family, rule.IPProto, rule.Dport, rule.Table = unix.AF_INET, unix.IPPROTO_UDP, netlink.NewRulePortRange(7, 7), unix.RT_TABLE_MAIN
		must(t, l.A.NS.Do(func() error { return netlink.RuleAdd(rule) }))
		if at := find(examine(t, l, trial, "10.77.0.2"), "WX-RULE-01"); at == nil || at.Level == doctor.OK || !strings.Contains(at.Remedy, "wsk-xdp doctor 10.77.0.2:PORT") {
			t.Errorf("%+v", at)
		}
		if at := find(examine(t, l, trial, "10.77.0.2:9000"), "WX-RULE-01"); at == nil || at.Level != doctor.OK {
			t.Errorf("%+v", at)
		}
	})
	t.Run("the way takes less than the interface", func(t *testing.T) {
		l, _ := lab(t, testenv.Topology{NoIPv6: true})
		_, to, err := net.ParseCIDR("198.51.100.0/24")
		must(t, err)
		change := func(mtu int) {
			must(t, l.A.NS.Do(func() error { return netlink.RouteReplace(&netlink.Route{Dst: to, Gw: l.B.IPv4().AsSlice(), MTU: mtu}) }))
		}
		change(1300)
		if at := find(examine(t, l, trial, "198.51.100.7"), "WX-PMTU-01"); at == nil || at.Level == doctor.OK || !strings.Contains(at.Title+at.Remedy, "up to 1272 bytes") {
			t.Errorf("%+v", at)
		}
		change(0)
		if at := find(examine(t, l, trial, "198.51.100.7"), "WX-PMTU-01"); at == nil || at.Level != doctor.OK {
			t.Errorf("%+v", at)
		}
	})
	t.Run("no such interface", func(t *testing.T) {
		l, netns := lab(t, testenv.Topology{})
		cli(timeout(t), "doctor", netns, "wsk7").want(t, 2, "see ip link") // which has wsk0
		healthy(t, examine(t, l, trial, "wsk0"))
	})
	t.Run("an interface that carries no frames", func(t *testing.T) {
		l, netns := lab(t, testenv.Topology{})
		r := cli(timeout(t), "doctor", netns, "lo")
		r.want(t, 0, "TX: not through lo", "choose an interface")
		if strings.Contains(r.stdout, "mtu") {
			t.Errorf("another MTU does not help: %v", r)
		}
		healthy(t, examine(t, l, trial, "wsk0"))
	})
	t.Run("no privilege", func(t *testing.T) {
		testenv.Require(t, testenv.Root)
		l, _ := lab(t, testenv.Topology{})
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Fatal(err) // of util-linux, which every Debian has
		}
		cmd := exec.Command(setpriv, "--bounding-set=-all", binary(t), "doctor", "wsk0")
		r := outcome(t, cmd, func(c *exec.Cmd) error { return l.A.NS.Do(c.Run) })
		r.want(t, 0, "TX: not as this user", "sudo, or setcap cap_net_raw,cap_net_admin=ep")
		healthy(t, examine(t, l, trial, "wsk0")) // as root, which is what sudo gives
	})
}

// setupTime is how long the kernel may take to have something as it was told.
const setupTime = 10e9

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func setMTU(i *testenv.Iface, mtu int) error {
	h, err := i.Namespace().Netlink()
	if err != nil {
		return err
	}
	l, err := h.LinkByIndex(i.Index())
	if err != nil {
		return err
	}
	return h.LinkSetMTU(l, mtu)
}

// examine is what doctor finds at end A. What an ordinary user could do is left out: a process of its own finds it out each time.
func examine(t *testing.T, l *testenv.Lab, trial *doctor.TrialFacts, args ...string) []doctor.Finding {
	t.Helper()
	o := doctor.Options{NetNS: borrow.Borrow(l.A.NS.FD()), Trial: trial, UserNS: notTried}
	must(t, doctorArgs(args, &o))
	facts, err := doctor.Gather(timeout(t), o)
	must(t, err)
	return slices.DeleteFunc(doctor.Check(&facts), func(f doctor.Finding) bool { return f.ID == "WX-USERNS-01" })
}

func find(list []doctor.Finding, id string) *doctor.Finding {
	if i := slices.IndexFunc(list, func(f doctor.Finding) bool { return f.ID == id }); i >= 0 {
		return &list[i]
	}
	return nil
}

// healthy fails where something is left to be done, but for what is of the kernel, and what the caller knows.
func healthy(t *testing.T, list []doctor.Finding, but ...string) {
	t.Helper()
	for _, f := range list {
		if f.Level != doctor.OK && f.Remedy != "" && !slices.Contains(ofTheKernel, f.ID) && !slices.Contains(but, f.ID) {
			t.Errorf("still to be done: %s", fmt.Sprint(f))
		}
	}
}
