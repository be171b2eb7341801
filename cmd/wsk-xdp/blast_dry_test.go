// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/capture"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// inFile are the frames of a capture file.
func inFile(t *testing.T, path string) (frames [][]byte) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := capture.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for {
		one, err := r.Next()
		if err != nil {
			return frames
		}
		frames = append(frames, bytes.Clone(one.Data))
	}
}

// described decodes frames and leaves out what one run has and another one does not: the identification of packets, the run and
// the time in a stamp, and checksums, which the decoder has checked. Flows whose way is not known yet wait for it, so that
// those of one flow keep their order only: the result is sorted.
func described(t *testing.T, frames [][]byte) (out []string) {
	t.Helper()
	for _, b := range frames {
		p, err := testenv.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		p.ID, p.UDPChecksum, p.FlowLabel = 0, 0, 0
		const headers = 8 // of UDP, in front of the stamp
		if p.FragmentOffset == 0 {
			data := p.IPPayload[headers:]
			clear(p.IPPayload[6:headers])
			if data[0] == 0xd7 {
				clear(data[2:4])
				clear(data[12:stamp.Size])
			} else { // of pktgen
				clear(data[8:stamp.PktgenSize])
			}
		}
		p.Payload = nil // it is in the IP payload
		out = append(out, fmt.Sprintf("%+v", *p))
	}
	slices.Sort(out)
	return out
}

// What a dry run shows and writes is what then leaves, by either kind of engine, over both versions of IP, whole and in
// fragments.
func TestBlastDryRun(t *testing.T) {
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	for port := range uint16(5) { // a vector ends early where the error of a closed port comes in between
		for _, host := range []netip.Addr{l.B.IPv4(), l.B.IPv6()} {
			testenv.NewUDPReceiverT(t, l.B.NS, netip.AddrPortFrom(host, 9000+port), testenv.UDPReceiverOptions{})
		}
	}
	dir := t.TempDir()
	for n, c := range []struct{ to, more string }{
		{"10.77.0.2:9000", "--engine wsk --source 10.77.0.1:7000 --batch 4 -s 64,200,1518 --dst-port 9000-9004 --flows 5 --flow-order random --seed 7"},
		{"[fd77::2]:9000", "--engine wsk --source [fd77::1]:7000 --dscp 46 --ttl 9"},
		{"10.77.0.2:9000", "--engine wsk --source 10.77.0.1:7000 --payload-size 4000"},
		{"[fd77::2]:9000", "--engine wsk --source [fd77::1]:7000 --payload-size 4000"},
		{"10.77.0.2:9000", "--engine frames --src 192.0.2.0/29 --src-port 7000-7003 --flows 9 --flow-order random --seed 3 --vlan 42:5 -s 64,200 --df"},
		{"10.77.0.2:9000", "--engine udp --source 10.77.0.1:7000 -s 64,200,1518 --dst-port 9000-9004 --flows 5 --flow-order random --seed 7 --dscp 46"},
		{"[fd77::2]:9000", "--engine sendmmsg --source [fd77::1]:7000 --batch 4 -s 84,200,1518 --dst-port 9000-9004 --flows 5 --ttl 9"},
		{"10.77.0.2:9000", "--engine sendmmsg --source 10.77.0.1:7000 --payload-size 4000 --batch 3"},
		{"10.77.0.2:9000", "--engine gso --source 10.77.0.1:7000 --batch 1 --df"},
		{"10.77.0.2:9000", "--engine packet --src 192.0.2.0/29 --src-port 7000-7003 --flows 9 --vlan 42:5 -s 64,200"},
		{"[fd77::2]:9000", "--engine frames --src-mac 02:00:00:00:00:77 --dst-mac 02:00:00:00:00:88 --stamp pktgen"},
	} {
		path := filepath.Join(dir, fmt.Sprint(n, ".pcap"))
		args := append([]string{"blast", netns, c.to, "-n", "12", "-r", "max", "-q"}, strings.Fields(c.more)...)
		r := cli(timeout(t), append(args, "--dry-run", "--json", "--pcap", path)...)
		r.want(t, 0)
		doc := decode[preview.Report](t, r)
		if doc.Requested != 12 || doc.Captured != 12 || len(doc.Frames) < 3 || doc.Path.Interface != "wsk0" || !strings.Contains(c.more, doc.Config.Engine) {
			t.Errorf("%s: %+v", c.more, doc)
		}
		cli(timeout(t), append(args, "--dry-run")...).want(t, 0, "nothing was sent", "12 packets", "packet 2, ", "0010  ")
		capturing := testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
		want := inFile(t, path)
		cli(timeout(t), append(args, "--pcap", path+"2")...).want(t, 0)
		got, err := capturing.WaitN(timeout(t), len(want), func(f testenv.Frame) bool {
			p, _ := testenv.Decode(f.Data)
			return p != nil && p.Protocol == 17
		})
		if err != nil {
			t.Fatalf("%s: %v", c.more, err)
		}
		during := inFile(t, path+"2")
		if len(during) != len(want) {
			t.Fatalf("%s: %d frames in a dry run, %d in a run", c.more, len(want), len(during))
		}
		var sent [][]byte
		for _, f := range got {
			sent = append(sent, f.Data)
		}
		left := described(t, sent)
		for i, file := range [][][]byte{want, during} {
			for n, text := range described(t, file) {
				if text != left[n] {
					t.Fatalf("%s, file %d: told\n%s, sent\n%s", c.more, i, text, left[n])
				}
			}
		}
	}
}

// A dry run sends nothing and asks nobody: the MAC of a neighbour that is not known stays open, and that is told.
func TestBlastDryRunAsksNobody(t *testing.T) {
	l, netns := lab(t, testenv.Topology{NoIPv6: true})
	before := transmitted(t, l)
	for _, engine := range []string{"wsk", "frames", "xdp"} {
		r := cli(timeout(t), "blast", netns, "10.77.0.99:9000", "--dry-run", "--engine", engine)
		r.want(t, 0, "engine "+engine, "not known yet", "> 00:00:00:00:00:00", "1,000,000 packets", "ttl 128")
	}
	there := filepath.Join(t.TempDir(), "there.pcap")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--dry-run --format csv": "human or json", "--dry-run --via daemon": "--dry-run and --via", "--pcap x --via daemon": "--pcap and --via",
		"--pcap x,0": "1 to 1,000,000", "--pcap x,many": "1 to 1,000,000", "--pcap ,5": "name of a file", "--pcap " + there: "--force",
		"--dry-run --pcap /nonexistent/x.pcap": "--pcap", "--dry-run -s 1519": "MTU of 1500",
	} {
		r := cli(timeout(t), append([]string{"blast", netns, "10.77.0.2:9000", "-n", "5", "-q"}, strings.Fields(args)...)...)
		r.want(t, 2, want)
		if goish.MatchString(r.stderr) {
			t.Errorf("%s: %v", args, r)
		}
	}
	if b, err := os.ReadFile(there); string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
	cli(timeout(t), "blast", netns, "10.77.0.2:9000", "-n", "5", "-q", "--pcap", there+",2", "--force", "--dry-run").want(t, 0, "first 2 packets are in")
	if got := inFile(t, there); len(got) != 2 {
		t.Errorf("%d frames", len(got))
	}
	if got := transmitted(t, l); got != before {
		t.Errorf("%d frames were sent", got-before)
	}
}

// TestWritingShows: a file that takes long to write says how far it is.
func TestWritingShows(t *testing.T) {
	_, netns := lab(t, testenv.Topology{})
	before := writingShows
	writingShows = 0
	t.Cleanup(func() { writingShows = before })
	file := filepath.Join(t.TempDir(), "plan.pcap")
	r := cli(timeout(t), "blast", netns, "10.77.0.2:9000", "-n", "5000", "--dry-run", "--pcap", file+",5000")
	r.want(t, 0, "writing "+file+": 4,096 of 5,000 packets")
}
