// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A report that can't be written to its file is not lost: it took its time to measure.
func TestBenchKeepsTheReport(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	for _, args := range []string{
		"bench --engines udp --runs 1 -d 10ms --warmup 0 -q -o /dev/full",
		"bench latency --measures idle-send --engines udp --runs 1 -d 20ms --warmup 0 -q -o /dev/full",
	} {
		r := cli(timeout(t), strings.Fields(args)...)
		r.want(t, 1, "no space left")
		if !strings.Contains(r.stdout, "udp") {
			t.Errorf("%s: no table: %v", args, r)
		}
	}
}

// An interrupt before anything was measured is treated as any other.
func TestBenchInterruptedAtOnce(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{"bench -q", "bench latency -q", "bench receive -q", "bench footprint --queues 1 -q"} {
		cli(ctx, strings.Fields(args)...).want(t, 0, "interrupted")
	}
}

// A frame that the interface does not take is an error in the command line. It is reported before the sizes that it
// does take are measured.
func TestBenchSizeAboveTheMTU(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP)
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort).String()
	r := cli(timeout(t), "bench", netns, "-i", "wsk0", "--to", to, "--engines", "udp", "--runs", "1", "-d", "10ms", "--warmup", "0", "-s", "64,1519")
	r.want(t, 2, "1519 bytes is above the MTU of wsk0, 1500")
	if strings.Contains(r.stderr, "round 1") {
		t.Errorf("something was measured, for nobody: %v", r)
	}
}

// --output - is the document on standard output and nothing else.
func TestBenchOutputDash(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	dir := t.TempDir()
	t.Chdir(dir)
	r := cli(timeout(t), "bench", "--engines", "udp", "--runs", "1", "-d", "10ms", "--warmup", "0", "-q", "-o", "-")
	r.want(t, 0)
	if doc := decode[map[string]any](t, r); doc["schema"] == nil {
		t.Error(r)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("files %v, %v", left, err)
	}
	earlier := filepath.Join(t.TempDir(), "earlier.json")
	if err := os.WriteFile(earlier, []byte(r.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range [][]string{{"-o", "-"}, {"--json"}} {
		args := []string{"bench", "--engines", "udp", "--runs", "1", "-d", "10ms", "--warmup", "0", "-q", "--baseline", earlier}
		r := cli(timeout(t), append(args, to...)...)
		r.want(t, 0)
		decode[map[string]any](t, r)
		if !strings.Contains(r.stderr, "compared with") {
			t.Errorf("%q: no comparison: %v", to, r)
		}
	}
}

// An interface that others live on is not flooded by the engines unless that is insisted on.
func TestBenchSparesOthers(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP)
	l, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	to := netip.AddrPortFrom(l.B.IPv4(), testPort)
	testenv.NewUDPReceiverT(t, l.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
	t.Setenv("SSH_CONNECTION", fmt.Sprintf("%v 50000 %v 22", l.B.IPv4(), l.A.IPv4()))
	args := []string{"bench", netns, "-i", "wsk0", "--to", to.String(), "--engines", "udp", "--runs", "1", "-d", "10ms", "--warmup", "0"}
	r := cli(timeout(t), args...)
	r.want(t, 3, "WX-SSH-01: this ssh session runs over wsk0", "--force")
	if strings.Contains(r.stderr, "round 1") {
		t.Errorf("something was measured: %v", r)
	}
	cli(timeout(t), append(args, "--force")...).want(t, 0)
}
