// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// A condition that holds is exit code 4, and said in table and document; what a run does not measure is refused before it.
func TestBlastFailIf(t *testing.T) {
	l, netns := lab(t, testenv.Topology{})
	blasting := func(args string) result {
		return cli(timeout(t), append([]string{"blast", netns, "10.77.0.2:9000", "-n", "50", "-q"}, strings.Fields(args)...)...)
	}
	recv := func() <-chan result {
		return background(t, timeout(t), "answered on TCP", "recv", ":9000", netnsB(l), "--one-off", "-q")
	}
	received := recv()
	r := blasting("-r 10k --peer --json --fail-if loss>0.1%,failed>0,slow_path>0,p50>1m,p99.9<1h")
	r.want(t, 4, "--fail-if p99.9<1h: p99.9 is")
	(<-received).want(t, 0)
	doc := decode[blast.Report](t, r)
	if len(doc.FailIf) != 5 {
		t.Fatal(r)
	}
	for i, c := range doc.FailIf {
		if c.Holds != (i == 4) {
			t.Errorf("%+v", c)
		}
	}
	if strings.Contains(r.stderr, "loss>") {
		t.Errorf("what does not hold is told: %v", r)
	}
	received = recv()
	blasting("-r 10k --peer --fail-if loss>0,duplicate>0").want(t, 0, "fail if", "loss>0: no, loss is 0 of 50")
	(<-received).want(t, 0)
	blasting("-r 10k --fail-if pps<0.1*rate").want(t, 4, "pps was not measured") // too short to tell
	for _, engine := range []string{"udp", "frames", "packet"} {
		blasting("-r 10k --fail-if slow_path>0,failed>0 --engine "+engine).want(t, 0, "failed is 0 of 50")
	}
	for args, want := range map[string]string{
		"--fail-if loss>1%": "with --peer", "--fail-if p99>1ms --engine frames": "measures no times", "--fail-if pps<0.9*rate -r max": "no rate to hold it to",
		"--fail-if loss": "is no condition", "--fail-if luck>1": "is no figure", "--fail-if pps<2*rate": "no part of the rate", "--fail-if failed>1m": "no multiple",
		"--fail-if failed>0 --dry-run": "has no figures", "--fail-if slow_path>0 --via daemon": "the daemon",
	} {
		r := blasting(args)
		r.want(t, 2, want)
		if goish.MatchString(r.stderr) {
			t.Errorf("%s: %v", args, r)
		}
	}
}
