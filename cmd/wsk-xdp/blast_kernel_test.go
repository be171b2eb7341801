// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
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
		"--engine udp --via daemon": "no such engine", "--engine packet --pacing spin": "--pacing is for",
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
