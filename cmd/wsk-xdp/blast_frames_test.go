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
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Prepared frames arrive as they were described: sources that nobody has, MACs and a VLAN of one's own.
func TestBlastFrames(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for _, c := range []struct{ to, src string }{{"10.77.0.2:9000", "192.0.2.0/29"}, {"[fd77::2]:9000", "2001:db8::1-2001:db8::6"}} {
		capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
		r := cli(timeout(t), "blast", netns, c.to, "--engine", "frames", "-r", "10k", "-n", "60", "--flows", "12", "--src", c.src, "--src-port", "7000-7001",
			"--src-mac", "02:00:00:00:00:77", "--dst-mac", "02:00:00:00:00:88", "--vlan", "42:5", "--ttl", "9", "-s", "90,100", "--json", "-q")
		r.want(t, 0, "engine frames", "in bursts of 64 at most")
		doc := decode[blast.Report](t, r)
		want := []blast.Carried{{Engine: "frames", Packets: 60}}
		if doc.Totals.Completed != 60 || !slices.Equal(doc.Carried, want) || doc.Latency != nil || doc.Config.Engine != "frames" ||
			!slices.Equal(doc.Config.VLANs, []int{42}) || doc.Config.WireL2 != 99 || doc.Config.SourceMAC != "02:00:00:00:00:77" {
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
			if _, ok := stamp.Parse(p.Payload); !ok || p.VLANs[0] != 5<<13|42 || p.SourceMAC.String() != "02:00:00:00:00:77" ||
				p.DestinationMAC.String() != "02:00:00:00:00:88" || p.TTL != 9 || netip.AddrPortFrom(p.Destination, p.DestinationPort).String() != c.to {
				t.Fatalf("%+v", p)
			}
			sources[netip.AddrPortFrom(p.Source, p.SourcePort)]++
		}
		if len(sources) != 12 {
			t.Errorf("%v", sources)
		}
	}
}

// With a peer, every number of a thousand flows is accounted for, over both versions of IP.
func TestBlastFramesJointly(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
		to := netip.AddrPortFrom(host, testPort).String()
		received := background(t, timeout(t), "answered on TCP", "recv", to, netnsB(l), "--one-off", "-q")
		r := cli(timeout(t), "blast", netns, to, "--engine", "frames", "-r", "10k", "-n", "900", "--flows", "300", "--flow-order", "random", "--seed", "3",
			"--peer", "--json", "-q")
		r.want(t, 0)
		doc := decode[blast.Report](t, r)
		if p := doc.Peer; p == nil || p.Received != 900 || p.Lost+p.Duplicate+p.Late+p.Corrupt+p.Foreign != 0 || !p.Balanced || doc.Totals.Completed != 900 {
			t.Errorf("%+v, %+v", doc.Totals, p)
		}
		r = <-received
		r.want(t, 0, "every number was received")
	}
}

// A frame to a group of MACs is for every host on the link, whatever address is in it.
func TestBlastFramesToGroup(t *testing.T) {
	_, netns := lab(t, testenv.Topology{})
	for _, mac := range []string{"ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:07", "33:33:00:00:00:07"} {
		frames := func(args ...string) result {
			return cli(timeout(t), append([]string{"blast", netns, "10.77.0.2:9000", "--engine", "frames", "--dst-mac", mac, "-n", "100", "-q"}, args...)...)
		}
		for _, rate := range []string{"max", "100001"} {
			frames("-r", rate).want(t, 3, "WX-CAST-01", mac, "wsk0", "--force")
			frames("-r", rate, "--force").want(t, 0)
		}
		frames("-r", "100k").want(t, 0)
	}
	args := []string{"blast", netns, "10.77.0.2:9000", "--engine", "frames", "--dst-mac", "02:00:00:00:00:88", "-n", "100", "-q", "-r", "max"}
	cli(timeout(t), args...).want(t, 0)
}

// What stands in the way of prepared frames is told before anything is sent.
func TestBlastFramesRefuses(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	frames := func(args ...string) result {
		return cli(timeout(t), append([]string{"blast", netns, "10.77.0.2:9000", "--engine", "frames", "-n", "5", "-q"}, args...)...)
	}
	for _, size := range [][]string{{"-s", "1519"}, {"-s", "64,1519"}, {"--payload-size", "1473"}, {"--payload-size", "1473", "--vlan", "42"}, {"--payload-size", "9000"}} {
		r := frames(append(size, "--dst-mac", "02:00:00:00:00:88")...)
		r.want(t, 2, size[0], "MTU of 1500", "1518 bytes")
		if strings.Contains(r.stderr, "--payload-size 1473 sends") {
			t.Errorf("%v: what does not help is advised: %v", size, r)
		}
	}
	frames("--payload-size", "1472", "--vlan", "42").want(t, 0)
	cli(timeout(t), "blast", netns, l.A.IPv4().String()+":9000", "--engine", "frames", "-n", "5").want(t, 3, "AF_XDP only")
	cli(timeout(t), "blast", netns, "10.77.0.99:9000", "--engine", "frames", "-n", "5").want(t, 1, "10.77.0.99 does not answer", "--dst-mac")
	frames("-r", "max", "--src", "10.77.0.7").want(t, 0)
	var holder *xdp.Socket
	err := l.A.NS.Do(func() (err error) {
		holder, err = xdp.Open(xdp.Options{Ifname: "wsk0", Mode: xdp.ModeCopy, TxChunks: 8})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	r := frames()
	r.want(t, 3, "queue 0", "engine frames:")
	if goish.MatchString(r.stderr) {
		t.Error(r)
	}
}
