// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// liveLab is a laboratory whose host B takes live frames, and passes them on to its stack.
func liveLab(t *testing.T) (*testenv.Lab, string) {
	t.Helper()
	testenv.Require(t, testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 18, "live frames")
	l, netns := lab(t, testenv.Topology{})
	testenv.NewDropCounterT(t, l.B.If, testenv.DropCounterOptions{Pass: true})
	return l, netns
}

// Live frames arrive as they were described, and the words are those of a driver that took them.
func TestBlastXDP(t *testing.T) {
	l, netns := liveLab(t)
	for _, c := range []struct{ to, src string }{{"10.77.0.2:9000", "192.0.2.0/29"}, {"[fd77::2]:9000", "2001:db8::1-2001:db8::6"}} {
		capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
		r := cli(timeout(t), "blast", netns, c.to, "--engine", "xdp", "-r", "10k", "-n", "60", "--flows", "12", "--src", c.src, "--src-port", "7000-7001",
			"--src-mac", "02:00:00:00:00:77", "--dst-mac", "02:00:00:00:00:88", "--vlan", "42:5", "--ttl", "9", "-s", "90,100", "--json", "-q")
		r.want(t, 0, "engine xdp", "live frames", "a call of the kernel for each packet")
		doc := decode[blast.Report](t, r)
		want := []blast.Carried{{Engine: "xdp", Packets: 60}}
		if doc.Totals.Completed != 60 || !slices.Equal(doc.Carried, want) || doc.Latency != nil || doc.Config.Engine != "xdp" || len(doc.Queues) != 0 ||
			!slices.Equal(doc.Config.VLANs, []int{42}) || doc.Config.WireL2 != 99 || !strings.Contains(doc.Verdict.Text, "handed to the driver") {
			t.Errorf("%+v, %+v", doc.Config, doc.Totals)
		}
		sources := map[netip.AddrPort]int{}
		got, err := capture.WaitN(timeout(t), 60, func(f testenv.Frame) bool {
			p, _ := testenv.Decode(f.Data)
			return p != nil && len(p.VLANs) == 1
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got {
			p, err := testenv.Decode(f.Data)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := stamp.Parse(p.Payload); !ok || p.VLANs[0] != 5<<13|42 || p.TTL != 9 ||
				netip.AddrPortFrom(p.Destination, p.DestinationPort).String() != c.to {
				t.Fatalf("%+v", p)
			}
			sources[netip.AddrPortFrom(p.Source, p.SourcePort)]++
		}
		if len(sources) != 12 {
			t.Errorf("%v", sources)
		}
	}
	r := cli(timeout(t), "blast", netns, "10.77.0.2:9000", "--engine", "xdp", "-r", "200k", "-n", "100", "--pacing", "spin", "-q")
	r.want(t, 0, "handed over  100", "xdp 100", "every packet was handed to the driver", "spinning") // too few for a verdict about the rate
	if text := r.stdout + r.stderr; strings.Contains(text, "IRP") || strings.Contains(text, "completed") {
		t.Error(r)
	}
}

// With a kernel socket as the peer, which verifies every checksum, every number is accounted for, over both versions of IP, at the smallest
// and the largest size.
func TestBlastXDPJointly(t *testing.T) {
	l, netns := liveLab(t)
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
		for _, size := range []string{"84", "1518"} {
			to := netip.AddrPortFrom(host, testPort).String()
			received := background(t, timeout(t), "answered on TCP", "recv", to, netnsB(l), "--one-off", "-q")
			r := cli(timeout(t), "blast", netns, to, "--engine", "xdp", "-r", "5k", "-n", "900", "--flows", "300", "--flow-order", "random", "--seed", "3",
				"-s", size, "--peer", "--json", "-q")
			r.want(t, 0)
			doc := decode[blast.Report](t, r)
			if p := doc.Peer; p == nil || p.Received != 900 || p.Lost+p.Duplicate+p.Late+p.Corrupt+p.Foreign != 0 || !p.Balanced || doc.Totals.Completed != 900 {
				t.Errorf("%+v, %+v", doc.Totals, p)
			}
			r = <-received
			r.want(t, 0, "every number was received")
		}
	}
}

// What stands in the way of live frames is told with its cure, before anything is sent.
func TestBlastXDPRefuses(t *testing.T) {
	testenv.Require(t, testenv.XDPProgram)
	testenv.RequireKernel(t, 5, 18, "live frames")
	l, netns := lab(t, testenv.Topology{})
	live := func(args ...string) result {
		return cli(timeout(t), append([]string{"blast", netns, "10.77.0.2:9000", "--engine", "xdp", "-n", "5", "-q"}, args...)...)
	}
	live().want(t, 3, "wsk0 is a veth", "recv --engine xdp", "gro on")
	testenv.NewDropCounterT(t, l.B.If, testenv.DropCounterOptions{})
	live().want(t, 0)
	for _, c := range []struct{ args, want string }{
		{"--queues 2", "--queues is for --engine wsk"}, {"--mode copy", "--engine xdp has none"}, {"--batch 257", "256 frames at a time"},
		{"--cpus 0,0", "processor 0 twice"}, {"--cpus 0,1", "1 are too few for 2"}, {"--pacing spin -r max", "--rate max is none"},
		{"--cpus -1", "no such processor"}, {"--via daemon", "no such engine"}, {"-s 1519", "MTU of 1500"}, {"--pacing never", "none of auto, sleep, spin"},
	} {
		r := live(strings.Fields(c.args)...)
		r.want(t, 2, c.want)
		if goish.MatchString(r.stderr) {
			t.Error(r)
		}
	}
	cli(timeout(t), "blast", netns, "10.77.0.2:9000", "--engine", "frames", "--cpus", "0,1").want(t, 2, "engine frames sends from one thread")
	cli(timeout(t), "blast", netns, l.A.IPv4().String()+":9000", "--engine", "xdp", "-n", "5").want(t, 3, "past the kernel's stack only")
	if err := l.B.If.SetDown(); err != nil {
		t.Fatal(err)
	}
	live("--dst-mac", "02:00:00:00:00:88").want(t, 1, "0 of 5 packets were taken by the driver of wsk0")
}
