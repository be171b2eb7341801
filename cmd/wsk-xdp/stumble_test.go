// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// That a link has no carrier is reported before the wait for it begins.
func TestNoCarrierIsLoud(t *testing.T) {
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	if r := cli(timeout(t), "send", netns, to); strings.Contains(r.stderr, "carrier") {
		t.Errorf("a link that is up: %v", r)
	}
	if err := l.B.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	cli(timeout(t), "send", netns, to, "--timeout", "50ms").want(t, 1, "wsk0 has no carrier", "ip link show wsk0")
}

// A warning says that there are fewer queues than were asked for, or too few flows for them; that all of
// several queues work in the only mode that their driver has is none.
func TestQueuesAskedFor(t *testing.T) {
	l, netns := lab(t, testenv.Topology{A: testenv.End{TX: 2, RX: 2}, B: testenv.End{TX: 2, RX: 2}})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	blast := func(args ...string) result {
		t.Helper()
		r := cli(timeout(t), append([]string{"blast", netns, to, "-n", "100", "-q"}, args...)...)
		r.want(t, 0)
		return r
	}
	blast("--queues", "5", "--flows", "5").want(t, 0, "wsk0 has 2 queues, not 5")
	blast("--queues", "2", "--flows", "1").want(t, 0, "1 flow keeps to one queue")
	r := blast("--queues", "2", "--flows", "2")
	r.want(t, 0, "queue 0,1 · copy mode")
	if strings.Contains(r.stderr, "!") {
		t.Error(r)
	}
}

// The next hop of a datagram that the kernel sends is not reported as one that needs no neighbour: that has not been
// looked up.
func TestNextHopOfTheSlowPath(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	nl, err := l.A.NS.Netlink()
	must(t, err)
	must(t, nl.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: "ifb7"}})) // AF_XDP is not for its kind
	link, err := nl.LinkByName("ifb7")
	must(t, err)
	addr, err := netlink.ParseAddr("10.78.0.1/24")
	must(t, err)
	must(t, errors.Join(nl.AddrAdd(link, addr), nl.LinkSetARPOn(link), nl.LinkSetUp(link), nl.NeighAdd(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, IP: net.IPv4(10, 78, 0, 2), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 2}, State: netlink.NUD_PERMANENT,
	})))
	r := cli(timeout(t), "send", netns, netip.AddrPortFrom(netip.MustParseAddr("10.78.0.2"), testPort).String())
	r.want(t, 0, "SLOW PATH", "next hop 10.78.0.2")
	if strings.Contains(r.stderr, "no neighbour to ask") {
		t.Error(r)
	}
}

// A namespace that a user may not enter, and a laboratory that the user may not build, are each reported once, with the
// exit code for that.
func TestNamespaceNotAllowed(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS)
	outcome(t, ordinaryUser(t, "doctor", "--netns=/proc/self/ns/net"), run1).want(t, 0) // there already
	name := labName() + "v"
	t.Cleanup(func() { cli(context.Background(), "lab", "down", "--name", name).want(t, 0) })
	cli(timeout(t), "lab", "up", "--name", name).want(t, 0)
	outcome(t, ordinaryUser(t, "doctor", "--netns="+name+"-a"), run1).want(t, 3, "enter network namespace "+name+"-a", "sudo")
	outcome(t, ordinaryUser(t, "doctor", "--netns=/proc/1/ns/net"), run1).want(t, 3, "open network namespace", "sudo")
	r := outcome(t, ordinaryUser(t, "bench", "latency", "--runs", "1"), run1)
	r.want(t, 3, "loads XDP programs", "sudo")
	if strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("told more than once: %v", r)
	}
}

// A laboratory whose packets do not fit a chunk is built, and told where AF_XDP can't carry them.
func TestLabOfJumboFrames(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS)
	name := "--name=" + labName() + "j"
	t.Cleanup(func() { cli(t.Context(), "lab", "down", name) })
	r := cli(timeout(t), "lab", "up", name, "--mtu", "9000")
	r.want(t, 0)
	l := testenv.NewLabT(t, testenv.Topology{})
	no := errors.Is(l.A.NS.Do(func() error { return xdp.ProbeMultiBuffer(l.A.If.Name(), 0) }), xdp.ErrNotSupported)
	if told := strings.Contains(r.stderr, "MTU 9000 is above 4010") && strings.Contains(r.stderr, "kernel's own stack"); told != no {
		t.Errorf("told %t, want %t: %v", told, no, r)
	}
	cli(timeout(t), "lab", "down", name).want(t, 0, "removed")
}

// What an ordinary user is told to do for a laboratory works.
func TestLabWithoutRoot(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	program := binary(t)
	shell := func(script string) result {
		t.Helper()
		cmd := exec.CommandContext(timeout(t), "/bin/sh", "-c", script)
		cmd.Dir = "/"
		if testenv.Check(testenv.Root) == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testenv.OrdinaryUser(), Gid: testenv.OrdinaryUser()}}
		}
		return outcome(t, cmd, run1)
	}
	shell(program+" lab up").want(t, 3, ownLab)
	inside := fmt.Sprintf(`set -e; %[1]s lab up; test -e /run/netns/wsk-a
		%[1]s send --netns wsk-a 10.77.0.2:9000 --require afxdp; %[1]s lab down; test -z "$(ls /run/netns)"`, program)
	shell(strings.Replace(ownLab, "exec sh", inside, 1)).want(t, 0, "STATUS_SUCCESS", "removed namespace wsk-b")
}

// In a user namespace, where a laboratory is to be had and XDP programs are not, measurements that need them say so, and
// not what the library for them says.
func TestMeasuringInAUserNamespace(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	for _, command := range []string{"latency", "receive", "footprint", "scale"} {
		cmd := ordinaryUser(t, "bench", command)
		cmd.SysProcAttr = nil // RunInUserNamespace sets its own
		r := outcome(t, cmd, testenv.RunInUserNamespace)
		r.want(t, 3, "loads XDP programs", "sudo")
		if strings.Count(r.stderr, "\n") != 1 || goish.MatchString(r.stderr) {
			t.Errorf("%s: %v", command, r)
		}
	}
}
