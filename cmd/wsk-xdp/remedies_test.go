// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// ofTheKernel are findings that another kernel would change, and nothing else.
var ofTheKernel = []string{"WX-KERNEL-01", "WX-KERNEL-02", "WX-DIAG-01", "WX-NATIVE-01", "WX-ZEROCOPY-01"}

// What doctor says is to be done makes its line ok when it has been done, and it says so of nothing else.
func TestRemedies(t *testing.T) {
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
			l, netns := lab(t, testenv.Topology{NoIPv6: true})
			mend := c.broken(t, l)
			said := examine(t, append([]string{netns}, c.args...)...)
			if at := find(said, c.id); at == nil || at.Level == doctor.OK || !strings.Contains(at.Remedy, c.remedy) {
				t.Fatalf("%s says %+v", c.id, at)
			}
			must(t, mend())
			testenv.Eventually(t, setupTime, c.id+" to be ok", func() bool {
				at := find(examine(t, append([]string{netns}, c.args...)...), c.id)
				return at != nil && at.Level == doctor.OK
			})
			healthy(t, examine(t, append([]string{netns}, c.args...)...), "WX-NEIGH-01")
		})
	}
	t.Run("no such interface", func(t *testing.T) {
		_, netns := lab(t, testenv.Topology{})
		cli(timeout(t), "doctor", netns, "wsk7").want(t, 2, "see ip link") // which has wsk0
		healthy(t, examine(t, netns, "wsk0"))
	})
	t.Run("an interface that carries no frames", func(t *testing.T) {
		_, netns := lab(t, testenv.Topology{})
		r := cli(timeout(t), "doctor", netns, "lo")
		r.want(t, 0, "TX: not through lo", "choose an interface")
		if strings.Contains(r.stdout, "mtu") {
			t.Errorf("another MTU does not help: %v", r)
		}
		healthy(t, examine(t, netns, "wsk0"))
	})
	t.Run("no privilege", func(t *testing.T) {
		testenv.Require(t, testenv.Root)
		l, netns := lab(t, testenv.Topology{})
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Fatal(err) // of util-linux, which every Debian has
		}
		cmd := exec.Command(setpriv, "--bounding-set=-all", binary(t), "doctor", "wsk0")
		r := outcome(t, cmd, func(c *exec.Cmd) error { return l.A.NS.Do(c.Run) })
		r.want(t, 0, "TX: not as this user", "sudo, or setcap cap_net_raw,cap_net_admin=ep")
		healthy(t, examine(t, netns, "wsk0")) // as root, which is what sudo gives
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

// examine runs doctor.
func examine(t *testing.T, args ...string) []doctor.Finding {
	t.Helper()
	r := cli(timeout(t), append([]string{"doctor", "--json"}, args...)...)
	r.want(t, 0)
	return decode[doctor.Report](t, r).Findings
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
