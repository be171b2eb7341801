// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// The kernel's ways send what the others send: with a peer, every number of several flows and sizes is accounted for, over both
// versions of IP.
func TestBlastKernelJointly(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for engine, more := range map[string]string{
		"udp": "-s 100,200,1518", "sendmmsg": "-s 100,200,1518", "gso": "-s 200", "packet": "-s 100,200,1518",
	} {
		for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			to := netip.AddrPortFrom(host, testPort).String()
			received := background(t, timeout(t), "answered on TCP", "recv", to, netnsB(l), "--one-off", "-q")
			r := cli(timeout(t), append([]string{"blast", netns, to, "--engine", engine, "-r", "10k", "-n", "900", "--flows", "20", "--src-port", "5000-5019",
				"--peer", "--json", "-q"}, strings.Fields(more)...)...)
			r.want(t, 0, "engine "+engine)
			doc := decode[blast.Report](t, r)
			if p := doc.Peer; p == nil || p.Received != 900 || p.Lost+p.Duplicate+p.Late+p.Corrupt+p.Foreign != 0 || !p.Balanced {
				t.Errorf("%s: %+v, %+v", engine, doc.Totals, p)
			}
			want := []blast.Carried{{Engine: engine, Packets: 900}}
			if !slices.Equal(doc.Carried, want) || doc.Totals.Failed != 0 || doc.SlowPath.Sent != 0 || (doc.Latency == nil) != (engine == "packet") ||
				engine != "packet" && len(doc.Config.Sources) != 20 {
				t.Errorf("%s: %+v", engine, doc)
			}
			r = <-received
			r.want(t, 0, "every number was received")
		}
	}
}

// A closed port is told, and the error of a datagram before keeps none from leaving.
func TestBlastKernelToClosedPort(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for _, engine := range []string{"udp", "sendmmsg", "gso"} {
		for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			r := cli(timeout(t), "blast", netns, netip.AddrPortFrom(host, 9).String(), "--engine", engine, "-r", "2k", "-n", "400", "--json", "-q")
			r.want(t, 0)
			doc := decode[blast.Report](t, r)
			if doc.Totals.Completed != 400 || doc.Totals.Failed != 0 || doc.Verdict.ID != "port_closed" {
				t.Errorf("%s to %v: %+v, %+v", engine, host, doc.Totals, doc.Verdict)
			}
		}
	}
}

// What the kernel refuses is a failure with a status, and a run of nothing else ends with exit code 1.
func TestBlastKernelFailures(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	r := cli(timeout(t), "blast", netns, "10.77.0.2:9000", "--engine", "udp", "--df", "--payload-size", "1473", "-n", "5", "-q")
	r.want(t, 2, "--df")
	for _, engine := range []string{"udp", "sendmmsg", "gso"} {
		cli(timeout(t), "blast", netns, "[fd77::2]:9000", "--dst", "fd99::7", "--engine", engine, "-r", "1k", "-n", "5", "-q").want(t, 1, "0 of 5 packets",
			"STATUS_NETWORK_UNREACHABLE")
	}
	for args, want := range map[string]string{
		"--engine udp --batch 2": "sendmmsg and gso", "--engine gso --batch 65": "64 datagrams at most", "--engine gso -s 64,128": "one size",
		"--engine gso --payload-size 1473": "MTU of 1500", "--engine packet -s 1519": "MTU of 1500", "--engine udp --vlan 5": "--vlan is for",
		"--engine sendmmsg --src 10.0.0.0/8": "--src is for", "--engine udp --mode copy": "--mode is about AF_XDP",
		"--engine packet --require afxdp": "has none", "--engine packet --queues 2": "--queues is for", "--engine udp --flows 2000": "1024",
		"--engine udp --via daemon": "no such engine", "--engine packet --cpus 0,1": "sends from one thread", "--engine udp --pacing spin -r max": "--rate max is none",
	} {
		r := cli(timeout(t), append([]string{"blast", netns, "10.77.0.2:9000", "-n", "5", "-q"}, strings.Fields(args)...)...)
		r.want(t, 2, want)
		if goish.MatchString(r.stderr) {
			t.Errorf("%s: %v", args, r)
		}
	}
	testenv.NewUDPReceiverT(t, l.A.NS, netip.MustParseAddrPort("10.77.0.1:5001"), testenv.UDPReceiverOptions{})
	cli(timeout(t), "blast", netns, "10.77.0.2:9000", "--engine", "udp", "--src-port", "5001", "-n", "5", "-q").want(t, 3, "source port 5001", "another socket")
}

// An ordinary user sends by the sockets of the kernel, with everything that is counted, and is told what the others take.
func TestSocketsNeedNoPrivilege(t *testing.T) {
	testenv.Require(t, testenv.Root)
	l, _ := lab(t, testenv.Topology{})
	program := binary(t)
	as := func(args ...string) result {
		return outcome(t, exec.CommandContext(timeout(t), program, args...), func(cmd *exec.Cmd) error {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testenv.OrdinaryUser(), Gid: testenv.OrdinaryUser()}}
			return l.A.NS.Do(cmd.Run)
		})
	}
	for _, engine := range []string{"udp", "sendmmsg", "gso"} {
		ctx, cancel := context.WithCancel(timeout(t))
		receiving := background(t, ctx, "answered on TCP", "recv", netnsB(l), ":9000", "--one-off", "--json", "-q")
		sent := decode[blast.Report](t, as("blast", "10.77.0.2:9000", "--engine", engine, "-n", "300", "-r", "10k", "--flows", "3", "--warmup", "10ms",
			"--pacing", "spin", "--peer", "--json", "-q"))
		if sent.Totals.Completed != 300 || sent.Totals.Failed != 0 || sent.Peer == nil || sent.Peer.Received != 300 || sent.Peer.Lost != 0 {
			t.Errorf("%s: %+v, peer %+v", engine, sent.Totals, sent.Peer)
		}
		if got := decode[recv.Report](t, <-receiving); len(got.Runs) != 1 || got.Runs[0].Received != 300 {
			t.Errorf("%s: %+v", engine, got.Runs)
		}
		cancel()
		as("blast", "10.77.0.2:9", "--engine", engine, "-n", "100", "-r", "1k", "-q").want(t, 0, "port is closed")
		as("blast", "10.77.0.2:9", "--engine", engine, "-n", "1", "-q", "--source", "10.77.0.1:80").want(t, 3, "engine "+engine)
	}
	as("blast", "10.77.0.2:9", "--engine", "packet", "-n", "1", "-q").want(t, 3)
	as("blast", "10.77.0.2:9", "--engine", "frames", "-n", "1", "-q").want(t, 3)
}

// Engine packet waits for an interface that is down for a moment, and of one that is gone it tells what had left.
func TestPacketLosesItsInterface(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*testenv.Lab) error
		code int
	}{
		{"down and up", func(l *testenv.Lab) error { return errors.Join(l.A.If.SetDown(), l.A.If.SetUp()) }, 0},
		{"gone", func(l *testenv.Lab) error { return l.A.If.Delete() }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, netns := lab(t, testenv.Topology{NoIPv6: true, Neighbours: testenv.Static})
			to := netip.AddrPortFrom(l.B.IPv4(), testPort)
			rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
			harmed := make(chan error, 1)
			go func() {
				err := rx.WaitCount(timeout(t), 500)
				harmed <- errors.Join(err, c.harm(l))
			}()
			const n = 20_000
			r := cli(timeout(t), "blast", netns, to.String(), "--engine", "packet", "-r", "10k", "-n", fmt.Sprint(n), "--json", "-q")
			if err := <-harmed; err != nil {
				t.Fatal(err)
			}
			r.want(t, c.code)
			doc := decode[blast.Report](t, r)
			whole := doc.Totals.Submitted == n && doc.Totals.Completed == n && doc.Lost == ""
			if doc.Totals.Submitted < 500 || (c.code == 0) != whole || (c.code == 1) != (doc.Verdict.ID == "lost") {
				t.Errorf("%v", r)
			}
		})
	}
}
