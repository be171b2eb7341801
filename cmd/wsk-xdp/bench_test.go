// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A report that can't be written to its file is not lost: it took its time to measure.
func TestBenchKeepsTheReport(t *testing.T) {
	testenv.Require(t, testenv.Root|testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	for _, args := range []string{
		"bench --engines udp --runs 1 -d 10ms --warmup 0 -q -o /nonexistent/report.json",
		"bench latency --measures idle-send --engines udp --runs 1 -d 20ms --warmup 0 -q -o /nonexistent/report.json",
	} {
		r := cli(timeout(t), strings.Fields(args)...)
		r.want(t, 1, "/nonexistent/report.json")
		if !strings.Contains(r.stdout, "udp") {
			t.Errorf("%s: no table: %v", args, r)
		}
	}
}
