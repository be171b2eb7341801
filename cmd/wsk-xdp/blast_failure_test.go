// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
)

// A run of which the peer received nothing fails, whatever else went wrong and is told before that; an interrupted one
// does not.
func TestNothingReceivedFails(t *testing.T) {
	closed := []icmp.Error{{Protocol: 1, Type: 3, Code: 3, Meaning: "the destination answers, the port is closed", Messages: 7}}
	for _, c := range []struct {
		name   string
		change func(*blast.Report, *blast.Result)
		text   string // of the error, empty: none
	}{
		{"nothing", func(*blast.Report, *blast.Result) {}, "nothing arrived at the peer"},
		{"ICMP first", func(r *blast.Report, _ *blast.Result) { r.ICMPErrors = closed }, "the port is closed (7 times); nothing arrived at the peer"},
		{"the interface first", func(r *blast.Report, _ *blast.Result) { r.Lost = "interface wsk0 was deleted during the run" }, "nothing arrived at the peer"},
		{"all corrupt", func(r *blast.Report, _ *blast.Result) { r.Peer.Corrupt = 5 }, "5 came corrupt"},
		{"all refused", func(r *blast.Report, _ *blast.Result) { r.Peer.Refused = 5 }, "5 were too many streams"},
		{"interrupted", func(_ *blast.Report, res *blast.Result) { res.Interrupted = true }, ""},
		{"one received", func(r *blast.Report, _ *blast.Result) { r.Peer.Received, r.Peer.Lost = 1, 4; r.ICMPErrors = closed }, ""},
		{"nobody asked", func(r *blast.Report, _ *blast.Result) { r.Peer, r.ICMPErrors = nil, closed }, ""},
	} {
		res := blast.Result{Counts: blast.Counts{Submitted: 5, Completed: 5}}
		var r blast.Report
		r.Fill(blast.Config{Count: 5}, res)
		r.Joint(&peer.Report{Lost: 5, Balanced: true})
		c.change(&r, &res)
		r.Conclude()
		err := blastFailure(&r, res, header{to: netip.MustParseAddrPort("10.0.0.2:9000")}, "")
		if (err == nil) != (c.text == "") || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %q", c.name, err, c.text)
		}
		if err != nil && strings.HasPrefix(c.name, "all") && strings.Contains(err.Error(), "nothing arrived") {
			t.Errorf("%s: what came is denied: %v", c.name, err)
		}
	}
}
