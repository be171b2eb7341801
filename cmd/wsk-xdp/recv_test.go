// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// background runs the program, and returns when it has written text to standard error; its result comes later.
func background(t *testing.T, ctx context.Context, text string, args ...string) <-chan result {
	t.Helper()
	done, ready := make(chan result, 1), make(chan struct{})
	go func() {
		var stdout bytes.Buffer
		stderr := closeAt{text: text, call: func() { close(ready) }}
		code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
		done <- result{code, stdout.String(), stderr.String()}
	}()
	select {
	case <-ready:
	case r := <-done:
		t.Fatalf("ended before %q: %v", text, r)
	}
	return done
}

// netnsB is the flag for end B of the laboratory.
func netnsB(l *testenv.Lab) string { return fmt.Sprintf("--netns=/proc/self/fd/%d", l.B.NS.FD()) }

// Both ends report the same, packet by packet, over both versions of IP and in both engines.
func TestJointReport(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	engines := [][]string{nil}
	if testenv.Check(testenv.XDPProgram) == nil {
		engines = append(engines, []string{"--engine", "wsk", "-i", "wsk1"})
	}
	for _, engine := range engines {
		for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			to := netip.AddrPortFrom(host, testPort).String()
			ctx := timeout(t)
			args := append([]string{"recv", to, netnsB(l), "--one-off", "--json", "-q"}, engine...)
			received := background(t, ctx, "answered on TCP", args...)
			r := cli(ctx, "blast", netns, to, "-r", "10k", "-n", "900", "--flows", "3", "-s", "100,1000,300", "--payload", "text:some words ",
				"--peer", "--json", "-q")
			r.want(t, 0, "peer wsk-xdp", "clock shared")
			doc := decode[blast.Report](t, r)
			p := doc.Peer
			if p == nil || doc.PeerError != "" {
				t.Fatalf("no report of the peer: %v", r)
			}
			if p.Received != 900 || p.Lost+p.Duplicate+p.Late+p.Corrupt+p.Foreign+p.Refused != 0 || !p.Balanced || len(p.Drops) > 0 || p.Delay == nil ||
				doc.Totals.Completed != 900 || doc.Config.Stamp != "wsk" {
				t.Errorf("%v, engine %v: %+v", to, engine, p)
			}
			if v := doc.Verdict; v.ID != "received" && v.ID != "reordered" {
				t.Errorf("%v, engine %v: %+v", to, engine, v)
			}
			other := <-received
			other.want(t, 0)
			their := decode[recv.Report](t, other)
			if len(their.Runs) != 1 || their.Runs[0].Run != doc.Config.Run || their.Runs[0].Received != p.Received || their.Totals.Packets != 900 ||
				!their.Runs[0].Ended || !their.Verdict.OK || *their.Runs[0].Delay != *p.Delay {
				t.Errorf("%v, engine %v: %+v", to, engine, their)
			}
		}
	}
}

// In the table there is a row for what arrived; without anybody to ask, nothing is sent.
func TestPeerIsAsked(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	r := cli(timeout(t), "blast", netns, to, "-n", "10", "--peer", "-q")
	r.want(t, 3, "no receiver answers at TCP "+to, "start wsk-xdp recv")
	if strings.Contains(r.stderr, "engine") {
		t.Errorf("it began: %v", r)
	}
	ctx, stop := context.WithCancel(timeout(t))
	received := background(t, ctx, "answered on TCP", "recv", netnsB(l), ":9000", "-q")
	cli(ctx, "blast", netns, to, "-r", "1k", "-n", "50", "--peer", "-q").want(t, 0, "received", "lost 0 · dup 0", "one way", "every packet arrived")
	r = cli(ctx, "recv", netnsB(l), ":9000")
	r.want(t, 3, "port 9000 is somebody else's", "ss -lnutp")
	cli(ctx, "blast", netns, "10.77.0.255:9000", "-n", "10", "--peer", "-q").want(t, 2, "is a group")
	stop()
	r = <-received
	r.want(t, 0, "50 packets", "every number was received")
}

// A receiver ends by itself as it was told, and says what it was told to expect.
func TestReceiverEnds(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	received := background(t, timeout(t), "answered on TCP", "recv", netnsB(l), to, "--expect", "20", "-q")
	cli(timeout(t), "blast", netns, to, "-n", "20", "-r", "1k", "-q").want(t, 0)
	r := <-received
	r.want(t, 0, "20 packets")
	cli(timeout(t), "recv", netnsB(l), to, "--for", "20ms", "--expect", "1", "-q").want(t, 1, "0 of 1 packets came", "nothing came")
	cli(timeout(t), "recv", netnsB(l), "10.77.0.99:9000").want(t, 2, "10.77.0.99 is no address of this host")
	if os.Getuid() == 0 && testenv.Check(testenv.XDPProgram) == nil {
		cli(timeout(t), "recv", netnsB(l), to, "--engine", "wsk", "-i", "eth77").want(t, 2, "eth77")
	}
}

// Packets without room for a stamp are sent without, and that is said; a peer can't count them.
func TestNoRoomForStamps(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv6(), testPort).String()
	r := cli(timeout(t), "blast", netns, to, "-n", "5", "-s", "66", "-q", "--json")
	r.want(t, 0, "have no room for a stamp")
	if doc := decode[blast.Report](t, r); doc.Config.Stamp != "none" {
		t.Errorf("%+v", doc.Config)
	}
	r = cli(timeout(t), "blast", netns, to, "-n", "5", "--payload", "text:mine", "-q", "--json")
	r.want(t, 0, "these packets are not numbered")
	if doc := decode[blast.Report](t, r); doc.Config.Stamp != "none" || doc.Config.Frame != 66 {
		t.Errorf("%+v", doc.Config)
	}
	r = cli(timeout(t), "blast", netns, to, "-n", "5", "-q", "--json")
	r.want(t, 0)
	if doc := decode[blast.Report](t, r); doc.Config.Stamp != "wsk" || doc.Config.Frame != 84 || doc.Config.Payload != 18 {
		t.Errorf("%+v", doc.Config)
	}
}
