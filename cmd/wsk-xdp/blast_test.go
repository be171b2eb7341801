// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

func TestBlast(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
		to := netip.AddrPortFrom(host, testPort)
		rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{})
		r := cli(timeout(t), "blast", netns, to.String(), "-r", "10k", "-n", "3000", "--flows", "3", "--batch", "4", "--payload-size", "33",
			"--payload", "text:ab", "--tos", "8", "--ttl", "9", "--require", "afxdp", "--json", "-q")
		r.want(t, 0, "engine wsk · AF_XDP on wsk0", "3 flows", "pacing by sleeps")
		doc := decode[blast.Report](t, r)
		if doc.Schema != "wsk-xdp.blast/1" || doc.Totals.Submitted != 3000 || doc.Totals.Completed != 3000 || doc.Totals.Failed != 0 ||
			doc.Totals.Payload != 3000*33 || doc.SlowPath.Sent != 0 || doc.Latency == nil || doc.Pacing == nil || doc.Interrupted ||
			len(doc.Queues) != 1 || doc.Queues[0].Completed != 3000 || doc.Queues[0].Kicks == 0 || len(doc.Config.Sources) != 3 {
			t.Errorf("%v", r)
		}
		got, err := rx.Wait(timeout(t), 3000)
		if err != nil {
			t.Fatal(err)
		}
		ports := map[uint16]int{}
		for _, d := range got {
			ports[d.Source.Port()]++
			if len(d.Payload) != 33 || string(d.Payload[:4]) != "abab" || d.TOS != 8 || d.TTL != 9 {
				t.Fatalf("%d bytes %q, TOS %#x, TTL %d", len(d.Payload), d.Payload, d.TOS, d.TTL)
			}
		}
		if len(ports) != 3 {
			t.Errorf("source ports and their datagrams: %v, want 3 ports", ports)
		}
	}
}

func TestBlastTable(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
	r := cli(timeout(t), "blast", netns, to.String(), "-r", "5k", "-d", "1200ms")
	r.want(t, 0, "requested", "6,000", "submitted", "completed", "L1", "L2", "completion", "p99.9", "kick syscalls", "verdict", "s] tx ")
	// How many it was depends on the machine; what the table calls completed has arrived.
	row := regexp.MustCompile(`(?m)^ *completed +([0-9,]+)`).FindStringSubmatch(r.stdout)
	if row == nil {
		t.Fatalf("no row of what was completed: %v", r)
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(row[1], ",", ""), 10, 64)
	if err != nil || n == 0 {
		t.Errorf("%q: %v", row[0], err)
	}
	if err := rx.WaitCount(timeout(t), n); err != nil {
		t.Error(err)
	}
}

func TestBlastFragments(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{})
	r := cli(timeout(t), "blast", netns, to.String(), "-r", "1k", "-n", "20", "--payload-size", "4000", "--json", "-q")
	r.want(t, 0, "3 fragments")
	if doc := decode[blast.Report](t, r); doc.Config.Frames != 3 || doc.Config.Frame != 0 || doc.Queues[0].Completed != 60 {
		t.Errorf("%v", r)
	}
	if _, err := rx.Wait(timeout(t), 20); err != nil {
		t.Error(err)
	}
	cli(timeout(t), "blast", netns, to.String(), "-s", "1519").want(t, 2, "1518", "--payload-size")
}

// An interrupt ends the run with exit code 0 and a whole report.
func TestBlastInterrupted(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
	ctx, cancel := context.WithCancel(timeout(t))
	go func() {
		if rx.WaitCount(ctx, 100) == nil {
			cancel()
		}
	}()
	r := cli(ctx, "blast", netns, to.String(), "-d", "1h", "-r", "1k", "--json", "-q")
	r.want(t, 0)
	doc := decode[blast.Report](t, r)
	if !doc.Interrupted || doc.Totals.Completed < 100 || doc.Totals.Completed != doc.Totals.Submitted {
		t.Errorf("%v", r)
	}
}

// The device is deleted: that ends a run from its address, or through it by name. One that named neither goes on when there is a way
// again, as with the kernel's sockets, and says what happened.
func TestBlastLosesTheDevice(t *testing.T) {
	for name, flags := range map[string][]string{"source": {"--source", "10.77.0.1"}, "interface": {"-i", "wsk0"}, "neither": nil} {
		t.Run(name, func(t *testing.T) {
			l, netns := lab(t, testenv.Topology{NoIPv6: true})
			to := netip.AddrPortFrom(l.B.IPv4(), testPort)
			rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
			ctx, interrupt := context.WithCancel(timeout(t))
			defer interrupt()
			happened := make(chan error, 1)
			go func() {
				happened <- func() error {
					if err := rx.WaitCount(ctx, 100); err != nil {
						return err
					}
					if err := l.A.If.Delete(); err != nil || flags != nil {
						return err
					}
					a, b := l.Topology.A, l.Topology.B
					if _, _, err := testenv.Connect(l.A.NS, a, 0, l.B.NS, b, 1500); err != nil {
						return err
					}
					if err := rx.WaitCount(ctx, rx.Count()+100); err != nil {
						return err
					}
					interrupt()
					return nil
				}()
			}()
			r := cli(ctx, append(flags, "blast", netns, to.String(), "-d", "1h", "-r", "1k", "-q")...)
			if err := <-happened; err != nil {
				t.Fatal(err, r)
			}
			const lost = "interface wsk0 was deleted during the run"
			if flags == nil {
				r.want(t, 0, lost, "(interrupted)")
			} else {
				r.want(t, 1, lost, "STATUS_FILE_FORCED_CLOSED", "on wsk0", "ip link")
			}
		})
	}
}

func TestBlastReachesNobody(t *testing.T) {
	_, netns := lab(t, testenv.Topology{})
	cli(timeout(t), "blast", netns, "192.0.2.1:9").want(t, 1, "no way to 192.0.2.1:9", "ip route get")
	r := cli(timeout(t), "blast", netns, "10.77.0.99:9", "-n", "10", "-r", "1k", "-q")
	r.want(t, 1, "0 of 10 packets completed on wsk0", "STATUS_HOST_UNREACHABLE", "ip neigh", "verdict")
	if errors.Is(t.Context().Err(), context.Canceled) {
		t.Fatal("the test ran out of time")
	}
}

// Whoever blasts at a closed port is told, on either path and in either version of IP: that all was sent is no success
// then. A port that somebody is bound to says nothing.
func TestClosedPort(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	own4, own6 := l.A.IPv4(), l.A.IPv6()
	const told = "the destination answers, the port is closed ("
	for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6(), own4, own6} {
		to := netip.AddrPortFrom(host, testPort)
		ns := l.B.NS
		if host == own4 || host == own6 {
			ns = l.A.NS
		}
		cli(timeout(t), "blast", netns, to.String(), "-r", "1k", "-n", "50", "-q").want(t, 0, told)
		doc := decode[blast.Report](t, cli(timeout(t), "blast", netns, to.String(), "-r", "1k", "-n", "50", "-q", "--json"))
		if doc.Verdict.ID != "port_closed" || doc.Verdict.OK || len(doc.ICMPErrors) != 1 || doc.ICMPErrors[0].Messages == 0 {
			t.Errorf("%v: %+v, %+v", to, doc.Verdict, doc.ICMPErrors)
		}
		r := cli(timeout(t), "send", netns, to.String(), "--json")
		r.want(t, 0, told)
		if doc := decode[sendReport](t, r); len(doc.ICMPErrors) != 1 || len(doc.Warnings) == 0 {
			t.Errorf("%v: %+v", to, doc)
		}
		testenv.NewUDPReceiverT(t, ns, to, testenv.UDPReceiverOptions{CountOnly: true})
		r = cli(timeout(t), "blast", netns, to.String(), "-r", "1k", "-n", "50", "-q", "--json")
		r.want(t, 0)
		doc = decode[blast.Report](t, r)
		if slow := ns == l.A.NS; len(doc.ICMPErrors) != 0 || doc.Verdict.OK == slow || (doc.Verdict.ID == "slow_path") != slow {
			t.Errorf("somebody listens on %v: %+v, %+v", to, doc.Verdict, doc.ICMPErrors)
		}
		carried := []blast.Carried{{Engine: "wsk", Packets: 50}, {Engine: "kernel", Packets: 0}}
		if ns == l.A.NS {
			carried[0].Packets, carried[1].Packets = 0, 50
		}
		if !slices.Equal(doc.Carried, carried) {
			t.Errorf("%v: carried %+v, want %+v", to, doc.Carried, carried)
		}
	}
}

// Nobody looked at what arrived: a run that went well says so, and one of five packets states no rates.
func TestBlastClaimsNoMoreThanItKnows(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
	r := cli(timeout(t), "blast", netns, to.String(), "-n", "5", "-q")
	r.want(t, 0, "verdict     every packet submitted was completed; nobody looked at what arrived", "too short to tell", "wsk 5 · kernel stack 0")
	if regexp.MustCompile(`\d CPU|mean error|verdict +ok`).MatchString(r.stdout) {
		t.Error(r)
	}
}

// A rate that could take others their network away is refused where there are others, unless it is insisted on. The rate
// that is the default is refused nowhere.
func TestBlastSparesOthers(t *testing.T) {
	alone, netns := lab(t, testenv.Topology{})
	routed, netnsRouted := lab(t, testenv.Topology{Shape: testenv.Routed})
	b := netip.AddrPortFrom(alone.B.IPv4(), testPort).String()
	const ssh = "WX-SSH-01: this ssh session runs over wsk0"
	for _, c := range []struct {
		name, netns, to, session, told string
	}{
		{"ssh", netns, b, fmt.Sprintf("%v 50000 %v 22", alone.B.IPv4(), alone.A.IPv4()), ssh},
		{"ssh over IPv6", netns, b, fmt.Sprintf("%v 50000 %v 22", alone.B.IPv6(), alone.A.IPv6()), ssh},
		{"ssh elsewhere", netns, b, "192.0.2.1 50000 192.0.2.2 22", ""},
		{"no ssh", netns, b, "", ""},
		{"default route", netnsRouted, netip.AddrPortFrom(routed.B.IPv4(), testPort).String(), "", "WX-SSH-01: the default route uses wsk0"},
		{"broadcast", netns, "255.255.255.255:9000", "", "WX-CAST-01"},
		{"group", netns, "224.0.0.77:9000", "", "WX-CAST-01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("SSH_CONNECTION", c.session)
			run := func(args ...string) result {
				return cli(timeout(t), append([]string{"blast", c.netns, c.to, "-i", "wsk0", "-q", "-n", "100"}, args...)...)
			}
			for _, rate := range []string{"max", "100001"} {
				r := run("-r", rate)
				if c.told == "" {
					r.want(t, 0)
					continue
				}
				r.want(t, 3, c.told, "--force")
				if r.stdout != "" || strings.Contains(r.stderr, "engine") {
					t.Errorf("it began: %v", r)
				}
				run("-r", rate, "--force").want(t, 0)
			}
			run("-r", "100k").want(t, 0)
			if c.told != "" {
				// What counts is frames: three of each of these.
				run("-r", "33334", "--payload-size", "3000").want(t, 3, c.told, "--rate 33333", "3 fragments")
			}
			run("-r", "33333", "--payload-size", "3000").want(t, 0)
		})
	}
}

// closeAt is a standard error that calls a function when a text has been written to it.
type closeAt struct {
	bytes.Buffer
	text string
	call func()
}

func (c *closeAt) Write(b []byte) (int, error) {
	n, err := c.Buffer.Write(b)
	if c.call != nil && strings.Contains(c.String(), c.text) {
		c.call()
		c.call = nil
	}
	return n, err
}

// What sends is settled before the clock starts: a run whose queue is somebody else's then goes through the kernel's
// stack to its end, though the queue is free before the first packet.
func TestEngineIsSettled(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	var holder *xdp.Socket
	err := l.A.NS.Do(func() (err error) {
		holder, err = xdp.Open(xdp.Options{Ifname: "wsk0", Mode: xdp.ModeCopy, TxChunks: 8})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
	const n = 1000
	args := []string{"blast", netns, to.String(), "--mode", "copy", "-r", "1k", "-n", strconv.Itoa(n), "--json", "-q"}
	var stdout bytes.Buffer
	stderr := closeAt{text: "engine wsk · kernel stack", call: func() { holder.Close() }}
	code := run(timeout(t), args, strings.NewReader(""), &stdout, &stderr)
	r := result{code, stdout.String(), stderr.String()}
	r.want(t, 0, "engine wsk · kernel stack", "SLOW PATH", "queue 0")
	if stderr.call != nil {
		t.Fatal("the queue was not given back")
	}
	doc := decode[blast.Report](t, r)
	want := []blast.Carried{{Engine: "wsk", Packets: 0}, {Engine: "kernel", Packets: n}}
	if !slices.Equal(doc.Carried, want) || len(doc.Queues) != 0 || doc.Verdict.ID != "slow_path" || doc.Verdict.OK {
		t.Errorf("carried %+v, queues %+v, verdict %+v", doc.Carried, doc.Queues, doc.Verdict)
	}
	if err := rx.WaitCount(timeout(t), n); err != nil {
		t.Error(err)
	}
}

// Rate max: everything submitted is accounted for, by completion or by status.
func TestBlastMax(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	r := cli(timeout(t), "blast", netns, to.String(), "-r", "max", "-d", "1s", "--json", "-q", "--flows", "2")
	r.want(t, 0)
	doc := decode[blast.Report](t, r)
	if doc.Totals.Completed+doc.Totals.Failed != doc.Totals.Submitted || doc.Totals.Completed == 0 || doc.Totals.Unfinished != 0 ||
		!doc.Config.RateMax || doc.Config.Batch != batchAtMax || doc.Pacing != nil || doc.Totals.Requested != 0 {
		t.Errorf("%v", r)
	}
	if time.Duration(doc.Totals.Sending) < time.Second {
		t.Errorf("sending took %v", time.Duration(doc.Totals.Sending))
	}
}

// Ranges, sizes and fractions of rates arrive as they were given.
func TestBlastOverRanges(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	rx := testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{})
	second := testenv.NewUDPReceiverT(t, l.B.NS, netip.AddrPortFrom(to.Addr(), testPort+1), testenv.UDPReceiverOptions{})
	r := cli(timeout(t), "blast", netns, to.String(), "-r", "0.4Mbit", "--rate-layer", "l2", "-d", "0", "-n", "40", "--dst-port", "9000-9001", "--flows", "4",
		"--src-port", "5000-5001", "-s", "64,100", "--json", "-q")
	r.want(t, 0, "frames 64,100", "4 flows (seq, seed 0)")
	doc := decode[blast.Report](t, r)
	c := doc.Config
	if c.Ports != "9000-9001" || c.SourcePorts != "5000-5001" || c.Sizes != "64,100" || c.WireL2 != 82 || c.MicroRate != 609_756_097 || c.Rate != 609 ||
		c.RateAsked != "400000bit" || c.RateLayer != "l2" || len(c.Sources) != 2 || doc.Totals.Payload != 20*(18+54) {
		t.Errorf("%+v, %+v", c, doc.Totals)
	}
	ports := map[uint16]int{}
	for _, rx := range []*testenv.UDPReceiver{rx, second} {
		got, err := rx.Wait(timeout(t), 20)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got {
			ports[d.Source.Port()]++
			if len(d.Payload) != 18 && len(d.Payload) != 54 {
				t.Errorf("%d bytes", len(d.Payload))
			}
		}
	}
	if ports[5000] != 20 || ports[5001] != 20 {
		t.Errorf("source ports %v", ports)
	}
	cli(timeout(t), "blast", netns, to.String(), "-r", "5%").want(t, 2, "wsk0 is virtual (veth)")
	// An address of the range that nobody has fails by itself.
	r = cli(timeout(t), "blast", netns, to.String(), "--dst", "10.77.0.2-10.77.0.3", "--flows", "2", "-r", "1k", "-n", "20", "--json", "-q")
	r.want(t, 0)
	if doc := decode[blast.Report](t, r); doc.Totals.Completed != 10 || doc.Totals.Failed != 10 {
		t.Errorf("%+v", doc.Totals)
	}
}
