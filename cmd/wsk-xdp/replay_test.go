// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// replayMark begins the source MAC of frames of the tests: what the kernels of a laboratory send has another.
var replayMark = []byte{2, 0x99}

// mixedFrames are frames of all sorts and sizes, each with its number in its MACs and in no other frame's place.
func mixedFrames(n int) (out []testenv.Frame) {
	random := rand.New(rand.NewPCG(14, uint64(n)))
	kinds := []struct {
		begin       []byte
		least, most int
	}{
		{[]byte{8, 0, 0x45}, 34, 1514}, {[]byte{0x86, 0xdd, 0x60}, 54, 1514}, {[]byte{8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 42, 42},
		{[]byte{0x81, 0, 0x20, 42, 8, 0, 0x45}, 64, 1518}, {[]byte{0x88, 0xa8, 0, 7, 8, 0, 0x45}, 64, 1514}, {[]byte{0, 40, 0xaa, 0xaa, 3}, 60, 60},
		{[]byte{0x88, 0xcc}, 14, 60}, {[]byte{8, 0, 0x45}, 60, 60}, {[]byte{8, 0, 0x45}, 1514, 1514},
	}
	for i := range n {
		kind := kinds[i%len(kinds)]
		data := make([]byte, kind.least+random.IntN(kind.most-kind.least+1))
		for at := range data {
			data[at] = byte(random.Uint32())
		}
		copy(data, []byte{2, 0, 0, 0, byte(i >> 8), byte(i)})
		copy(data[6:], replayMark)
		copy(data[12:], kind.begin)
		out = append(out, testenv.Frame{Data: data, Time: time.Unix(1_700_000_000, int64(i)*100_000)})
	}
	return out
}

// captureFile writes frames into a file of a format.
func captureFile(t *testing.T, format string, frames []testenv.Frame) string {
	t.Helper()
	var b bytes.Buffer
	write := testenv.WritePCAP
	if format == "pcapng" {
		write = testenv.WritePCAPNG
	}
	if err := write(&b, frames); err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "frames."+format, b.Bytes())
}

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// arrived waits for n frames of a replay at the far end, in the order in which they came.
func arrived(t *testing.T, ctx context.Context, c *testenv.Capture, n int) []testenv.Frame {
	t.Helper()
	got, err := c.WaitN(ctx, n, func(f testenv.Frame) bool { return bytes.HasPrefix(f.Data[6:], replayMark) })
	if err != nil {
		dropped, _ := c.Dropped()
		t.Fatalf("%d of %d frames arrived, %d were dropped by the capture: %v", len(got), n, dropped, err)
	}
	return got
}

// What the far end gets is the file, byte for byte and in order: a thousand frames of all sorts, at top speed and at a rate.
func TestReplay(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	frames := mixedFrames(1000)
	total := 0
	for _, f := range frames {
		total += len(f.Data)
	}
	for _, c := range []struct {
		format string
		args   []string
	}{{"pcap", []string{"--topspeed"}}, {"pcapng", []string{"-r", "5k", "-i", "wsk0"}}, {"pcap", []string{"--speed", "10"}}} {
		ctx := timeout(t)
		capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
		r := cli(ctx, append([]string{"replay", netns, captureFile(t, c.format, frames), "--json", "-q"}, c.args...)...)
		r.want(t, 0, "via wsk0 (mtu 1500)", "engine frames · queue 0", "1,000 frames, 1518 B at most")
		doc := decode[replay.Report](t, r)
		if doc.Schema != "wsk-xdp.replay/1" || doc.Totals.Requested != 1000 || doc.Totals.Completed != 1000 || doc.Totals.Failed != 0 ||
			doc.Totals.Bytes != uint64(total) || doc.File.Format != c.format || doc.File.Span != 99_900_000 ||
			len(doc.Queues) != 1 || doc.Queues[0].Completed != 1000 || len(doc.Granted) != 1 || doc.Path.Interface != "wsk0" {
			t.Errorf("%v", r)
		}
		paced, timed := c.args[0] == "-r", c.args[0] == "--speed"
		if (doc.Pacing != nil) != paced || (doc.Gaps != nil) != (paced || timed) || paced && (doc.Config.Rate != 5000 || doc.Gaps.Asked.P99 != 200_000) {
			t.Errorf("%v: %+v, %+v", c.args, doc.Pacing, doc.Gaps)
		}
		if timed && (doc.Config.Speed != 10_000_000 || doc.Config.Pacing != "original" || doc.Gaps.Asked.P99 < 9_990 || doc.Gaps.Asked.P99 > 10_010 ||
			doc.Totals.Sending < 9_990_000 || doc.Gaps.Late == nil) {
			t.Errorf("%v: %+v, %+v, %+v", c.args, doc.Config, doc.Gaps, doc.Totals)
		}
		if doc.Config.CPU == nil {
			t.Errorf("%v: the frames left from any processor", c.args)
		}
		for i, got := range arrived(t, ctx, capture, 1000) {
			if !bytes.Equal(got.Data, frames[i].Data) {
				t.Fatalf("%s: frame %d is\n% x, want\n% x", c.format, i, got.Data, frames[i].Data)
			}
		}
		if err := capture.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Frames keep the times of the capture: none leaves before it is due, and the gaps that were asked for are stated.
func TestReplayOriginal(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	frames := mixedFrames(30)
	for i := range frames {
		frames[i].Time = frames[0].Time.Add(time.Duration(i) * 20 * time.Millisecond)
	}
	ctx := timeout(t)
	capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
	before := time.Now().Round(0)
	r := cli(ctx, "replay", netns, captureFile(t, "pcap", frames), "--original", "--json", "-q")
	r.want(t, 0, "at the times of the capture, which lasted 580ms")
	doc := decode[replay.Report](t, r)
	for i, got := range arrived(t, ctx, capture, len(frames)) {
		if due := before.Add(time.Duration(i) * 20 * time.Millisecond); !bytes.Equal(got.Data, frames[i].Data) || got.Time.Before(due) {
			t.Errorf("frame %d came at %v, due at %v or later", i, got.Time, due)
		}
	}
	asked := int64(20 * time.Millisecond)
	if g := doc.Gaps; g == nil || g.Asked == nil || g.Late == nil || g.Asked.P99 < asked*99/100 || g.Asked.P99 > asked*101/100 || g.Reached.P99 == 0 ||
		doc.Totals.Sending < (580*time.Millisecond).Nanoseconds() || doc.LimitedBy != "" || doc.Pacing != nil {
		t.Errorf("%+v, %+v", g, doc.Totals)
	}
	cli(ctx, "replay", netns, captureFile(t, "pcap", frames[:3])).want(t, 0, "gaps asked", "late by", "p99", "completed", "verdict")
}

// Rates have three names, and one of them is given.
func TestReplayRates(t *testing.T) {
	_, netns := lab(t, testenv.Topology{})
	file := captureFile(t, "pcap", mixedFrames(100))
	for _, c := range []struct {
		args, told string
		code       int
	}{
		{"--pps 5k", "at 5.000 kpps", 0}, {"--bps 50M", "pps", 0}, {"--bps 50Mbit", "pps", 0}, {"-r 50Mbit", "pps", 0}, {"--speed 0.9", "0.9 times as fast as captured", 0},
		{"--original --speed 2x", "2 times as fast as captured, in 4.95ms instead of 9.9ms", 0},
		{"--pps 5k --bps 5M", "--rate, --pps and --bps say the same", 2}, {"--pps 5Mbit", "so many frames a second", 2}, {"--pps max", "so many frames a second", 2},
		{"--bps 5%", "so many bits a second", 2}, {"--bps max", "so many bits a second", 2}, {"--bps 5kpps", "is behind the number", 2},
		{"--speed 2 -r 5k", "give one", 2}, {"--speed 2 --topspeed", "give one", 2}, {"--speed 0", "never ends", 2}, {"--speed fast", "is no factor", 2},
	} {
		r := cli(timeout(t), append([]string{"replay", netns, file, "-q", "--json"}, strings.Fields(c.args)...)...)
		if r.want(t, c.code, c.told); c.code == 0 {
			if doc := decode[replay.Report](t, r); doc.Totals.Completed != 100 || doc.Gaps.Asked == nil {
				t.Errorf("%s: %+v", c.args, doc)
			}
		}
	}
}

// Rounds, a limit, and MACs that are written over.
func TestReplayRounds(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	frames := mixedFrames(90)
	file := captureFile(t, "pcapng", frames)
	for _, c := range []struct {
		args string
		want int
	}{{"--loop 3", 270}, {"--loop 3 --limit 200", 200}, {"--loop 0 --limit 95", 95}, {"--limit 5", 5}} {
		ctx := timeout(t)
		capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
		args := append([]string{"replay", netns, file, "--json", "-q", "-r", "20k", "--src-mac", "02:99:00:00:00:77"}, strings.Fields(c.args)...)
		r := cli(ctx, args...)
		r.want(t, 0)
		doc := decode[replay.Report](t, r)
		if doc.Totals.Completed != uint64(c.want) || doc.Config.Source != "02:99:00:00:00:77" || doc.Config.Dest != "" {
			t.Errorf("%s: %+v, %+v", c.args, doc.Config, doc.Totals)
		}
		var want []testenv.Frame
		for i := range c.want {
			data := bytes.Clone(frames[i%len(frames)].Data)
			copy(data[6:], []byte{2, 0x99, 0, 0, 0, 0x77})
			want = append(want, testenv.Frame{Data: data})
		}
		for i, got := range arrived(t, ctx, capture, c.want) {
			if !bytes.Equal(got.Data, want[i].Data) {
				t.Fatalf("%s: frame %d is % x, want % x", c.args, i, got.Data, want[i].Data)
			}
		}
		if err := capture.Close(); err != nil {
			t.Error(err)
		}
	}
	r := cli(timeout(t), "replay", netns, file, "-q", "--topspeed", "--loop", "2", "--dst-mac", "02:00:00:00:00:88")
	r.want(t, 0, "2 rounds", "as fast as frames come back", "180", "verdict")
}

// What can't be sent is refused, with what to do, or left out and counted; files that are none are told.
func TestReplayRefuses(t *testing.T) {
	_, netns := lab(t, testenv.Topology{})
	good := mixedFrames(3)
	var snapped, cooked bytes.Buffer
	w, c := pcapgo.NewWriter(&snapped), pcapgo.NewWriter(&cooked)
	if err := cmp.Or(w.WriteFileHeader(65535, layers.LinkTypeEthernet), c.WriteFileHeader(65535, layers.LinkTypeLinuxSLL)); err != nil {
		t.Fatal(err)
	}
	for i, f := range good {
		info := gopacket.CaptureInfo{Timestamp: f.Time, CaptureLength: len(f.Data), Length: len(f.Data) + i%2}
		if err := cmp.Or(w.WritePacket(info, f.Data), c.WritePacket(info, f.Data)); err != nil {
			t.Fatal(err)
		}
	}
	large := append(mixedFrames(3), testenv.Frame{Data: append(bytes.Clone(good[0].Data[:14]), make([]byte, 1501)...), Time: good[2].Time})
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(captureFile(t, "pcap", good))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name, file string
		wants      []string
		skipped    uint64 // with --skip, 0 where that does not help
	}{
		{"text", writeFile(t, "text", []byte("no capture")), []string{"no capture file"}, 0},
		{"compressed", writeFile(t, "gz", []byte{0x1f, 0x8b, 8, 0}), []string{"unpack it first"}, 0},
		{"nothing", writeFile(t, "empty", nil), []string{"is empty"}, 0},
		{"directory", t.TempDir(), []string{"no regular file"}, 0},
		{"not there", "/nonexistent", []string{"no such file"}, 0},
		{"no packets", writeFile(t, "none", whole[:24]), []string{"no packet in it"}, 0},
		{"damaged", writeFile(t, "damaged", append(bytes.Clone(whole), bytes.Repeat([]byte{0xff}, 16)...)), []string{"damaged", "at byte"}, 0},
		{"cooked", writeFile(t, "cooked", cooked.Bytes()), []string{"Linux cooked capture", "by its name"}, 0},
		{"snapped", writeFile(t, "snapped", snapped.Bytes()), []string{"record 2 is cut", "tcpdump -s 0", "--skip"}, 1},
		{"large", captureFile(t, "pcap", large), []string{"record 4", "MTU of 1500", "1515 bytes", "--skip"}, 1},
		{"killed", writeFile(t, "killed", whole[:len(whole)-5]), []string{"ends within a record", "--skip"}, 1},
	} {
		t.Run(f.name, func(t *testing.T) {
			run := func(args ...string) result {
				return cli(timeout(t), append([]string{"replay", netns, f.file, "-q", "-r", "1k", "--json"}, args...)...)
			}
			r := run()
			r.want(t, 2, f.wants...)
			if said, _, _ := strings.Cut(r.stderr, "\n"); goish.MatchString(said) || strings.Contains(r.stderr, "engine") {
				t.Error(r)
			}
			r = run("--skip")
			if f.skipped == 0 {
				r.want(t, 2, f.wants...)
				return
			}
			r.want(t, 0, "1 record left out", "1 record of the file is left out")
			doc := decode[replay.Report](t, r)
			if got := doc.File.Cut + doc.File.Long + doc.File.Unfinished; got != f.skipped || doc.Totals.Completed != doc.File.Frames || doc.File.Frames < 2 {
				t.Errorf("%+v, %+v", doc.File, doc.Totals)
			}
		})
	}
	// A pipe can't be read twice. It is opened from the other end, for whoever opens it waits for that.
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	cli(timeout(t), "replay", netns, pipe, "-q").want(t, 2, "no regular file")
	// Frames without times have none to keep.
	simple := []byte{10, 13, 13, 10, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 28, 0, 0, 0,
		1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 32, 0, 0, 0, 14, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 0x99, 0, 0, 0, 1, 0x88, 0xcc,
		0, 0, 32, 0, 0, 0}
	untimed := writeFile(t, "untimed", simple)
	cli(timeout(t), "replay", netns, untimed, "-q").want(t, 2, "bear no time", "--rate or --topspeed")
	cli(timeout(t), "replay", netns, untimed, "-q", "--topspeed").want(t, 0)
}

// A flood of groups, over this ssh session or past IPsec policies is refused before it begins, unless it is insisted on; what
// is harmless is refused nowhere.
func TestReplaySparesOthers(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	plain, group := mixedFrames(1200), mixedFrames(1200)
	for i := range group {
		group[i].Data[0] = 3
		group[i].Time = group[0].Time
	}
	file, groups := captureFile(t, "pcap", plain), captureFile(t, "pcap", group)
	run := func(args ...string) result {
		return cli(timeout(t), append([]string{"replay", netns, "-q", "--limit", "1100"}, args...)...)
	}
	refused := func(told string, args ...string) {
		t.Helper()
		r := run(args...)
		if r.want(t, 3, told, "--force"); strings.Contains(r.stderr, "engine") || r.stdout != "" {
			t.Errorf("it began: %v", r)
		}
		run(append(args, "--force")...).want(t, 0)
	}
	for _, fast := range [][]string{{"--topspeed"}, {"-r", "max"}, {"-r", "100001"}, {"--original"}, {"--original", "--loop", "2"}} {
		refused("WX-CAST-01", append(fast, groups)...)
		all := append([]string{captureFile(t, "pcap", plain[:20]), "--dst-mac", "ff:ff:ff:ff:ff:ff", "--limit", "3000", "--loop", "0"}, fast[:min(len(fast), 2)]...)
		if fast[0] != "--original" {
			refused("WX-CAST-01", all...)
			run(append(fast, captureFile(t, "pcap", group[:100]))...).want(t, 0) // as many at once as are harmless
		}
		run(append(fast, file)...).want(t, 0)
	}
	run("-r", "100k", groups).want(t, 0)
	run("--dst-mac", "ff:ff:ff:ff:ff:ff", file).want(t, 0) // at 10,000 a second

	t.Setenv("SSH_CONNECTION", fmt.Sprintf("%v 50000 %v 22", l.B.IPv4(), l.A.IPv4()))
	refused("WX-SSH-01: this ssh session runs over wsk0", "--topspeed", file)
	run("-r", "100k", file).want(t, 0)
	run("--original", file).want(t, 0)
	t.Setenv("SSH_CONNECTION", "")

	if err := l.A.NS.Do(func() error {
		everywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		return netlink.XfrmPolicyAdd(&netlink.XfrmPolicy{
			Src: everywhere, Dst: everywhere, Dir: netlink.XFRM_DIR_OUT,
			Tmpls: []netlink.XfrmPolicyTmpl{{Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT}},
		})
	}); err != nil {
		t.Fatal(err)
	}
	refused("WX-IPSEC-01", "-r", "10k", file)
}

// The interface is the only one, or the one that is named; whatever can't carry frames as they are is told.
func TestReplayChoosesTheInterface(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	file := captureFile(t, "pcap", mixedFrames(5))
	run := func(args ...string) result {
		return cli(timeout(t), append([]string{"replay", netns, "-q", "-r", "1k", file}, args...)...)
	}
	run().want(t, 0, "via wsk0")
	run("-i", "eth77").want(t, 2, "no such interface")
	run("-i", "lo").want(t, 3, "AF_XDP only")
	if err := l.A.NS.Do(func() error {
		over := netlink.LinkAttrs{Name: "over0", ParentIndex: l.A.If.Index(), Flags: net.FlagUp}
		return cmp.Or(netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: over, Mode: netlink.MACVLAN_MODE_VEPA}),
			netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "down0"}, PeerName: "other0"}))
	}); err != nil {
		t.Fatal(err)
	}
	run("-i", "over0").want(t, 3, "on top of wsk0", "-i wsk0")
	run("-i", "down0").want(t, 3, "ip link set down0 up")
	run().want(t, 0, "via wsk0")
	if err := l.A.NS.Do(func() error { return netlink.LinkSetUp(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "other0"}}) }); err != nil {
		t.Fatal(err)
	}
	run().want(t, 2, "several interfaces", "wsk0", "other0")
	run("-i", "wsk0").want(t, 0)
}

// An interrupt ends an endless run with a report.
func TestReplayIsInterrupted(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	capture := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
	ctx, cancel := context.WithCancel(timeout(t))
	defer cancel()
	done := background(t, ctx, "until stopped", "replay", netns, captureFile(t, "pcap", mixedFrames(9)), "--loop", "0", "-r", "1k", "--json", "-q")
	arrived(t, ctx, capture, 100)
	cancel()
	r := <-done
	r.want(t, 0, "(interrupted)")
	if doc := decode[replay.Report](t, r); doc.Totals.Completed < 100 || !doc.Interrupted || doc.Totals.Requested != 0 {
		t.Errorf("%+v", doc.Totals)
	}
}
