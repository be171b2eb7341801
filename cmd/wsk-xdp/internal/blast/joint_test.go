// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
)

// What arrived is in the verdict: that nothing did before anything else, what was lost with where.
func TestVerdictOfBothEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		p    peer.Report
		fail uint64
		err  string
		id   string
		text string
	}{
		{"all", peer.Report{Received: 2000, Balanced: true}, 0, "", "received", "every packet arrived; limited by the rate"},
		{"at the peer", peer.Report{Received: 1990, Lost: 10, Balanced: true, Drops: map[string]uint64{"rx_ring_full": 10}}, 0, "", "loss",
			"10 of 2,000 lost at the peer (rx ring full 10); limited by the rate"},
		{"perhaps at the peer", peer.Report{Engine: "udp", Received: 1990, Lost: 10, Balanced: true, Drops: map[string]uint64{peer.BadChecksum: 12}}, 0, "", "loss",
			"10 of 2,000 lost, of which the peer dropped up to 10 (bad checksum 12 in its network namespace) and the way the others; limited by the rate"},
		{"at the peer's program", peer.Report{Engine: "xdp", Received: 1990, Lost: 10, Balanced: true, Drops: map[string]uint64{peer.BadChecksum: 12}}, 0, "", "loss",
			"10 of 2,000 lost at the peer (bad checksum 12); limited by the rate"},
		{"came, and perhaps the peer", peer.Report{Engine: "udp", Received: 1990, Lost: 10, Corrupt: 3, Balanced: true,
			Drops: map[string]uint64{"b": 2, peer.BadChecksum: 1}}, 0, "", "loss",
			"10 of 2,000 lost, of which 3 came to the peer corrupt or were refused there, the peer dropped up to 3 (b 2, bad checksum 1 in its network namespace) " +
				"and the way the others; 3 came corrupt; limited by the rate"},
		{"on the way", peer.Report{Received: 1990, Lost: 10, Balanced: true}, 0, "", "loss",
			"10 of 2,000 lost on the way: the peer has dropped none; limited by the rate"},
		{"here and there", peer.Report{Received: 1990, Lost: 10, Balanced: true, Drops: map[string]uint64{"b": 1, "a_c": 2}}, 0, "", "loss",
			"10 of 2,000 lost, of which the peer dropped 3 (a c 2, b 1) and the way the others; limited by the rate"},
		{"came all the same", peer.Report{Received: 1990, Lost: 10, Corrupt: 8, Refused: 2, Balanced: true}, 0, "", "loss",
			"10 of 2,000 lost, all of which came to the peer corrupt or were refused there; 8 came corrupt; 2 were too many streams for the peer's memory; " +
				"limited by the rate"},
		{"came, and the way", peer.Report{Received: 1990, Lost: 10, Corrupt: 3, Balanced: true}, 0, "", "loss",
			"10 of 2,000 lost, of which 3 came to the peer corrupt or were refused there and the way lost the others; 3 came corrupt; limited by the rate"},
		{"came, and the peer", peer.Report{Received: 1990, Lost: 10, Corrupt: 3, Balanced: true, Drops: map[string]uint64{"b": 7}}, 0, "", "loss",
			"10 of 2,000 lost, of which 3 came to the peer corrupt or were refused there and the peer dropped the others (b 7); 3 came corrupt; " +
				"limited by the rate"},
		{"came, here and there", peer.Report{Received: 1990, Lost: 10, Refused: 3, Balanced: true, Drops: map[string]uint64{"b": 2}}, 0, "", "loss",
			"10 of 2,000 lost, of which 3 came to the peer corrupt or were refused there, the peer dropped 2 (b 2) and the way the others; " +
				"3 were too many streams for the peer's memory; limited by the rate"},
		{"never sent", peer.Report{Received: 1990, Lost: 10, Balanced: true}, 10, "", "failed", "10 of 2,000 packets failed; limited by the rate"},
		{"nothing", peer.Report{Lost: 2000, Balanced: true}, 0, "", "nothing_arrived", "nothing arrived at the peer: 2,000 packets were sent; limited by the rate"},
		{"the path", peer.Report{Received: 2000, Duplicate: 5, Reordered: 11, Extent: 3, Late: 2, Corrupt: 1, Balanced: true}, 0, "", "corrupt",
			"1 came corrupt; 2 came too late to be told apart; 5 came again; 11 reordered, by 3 places at most; limited by the rate"},
		{"gone", peer.Report{}, 0, "it died", "peer_lost", "the peer's report is missing: it died; limited by the rate"},
	} {
		var r Report
		r.Fill(Config{Rate: PPS(1000), Count: 2000}, Result{Counts: Counts{Submitted: 2000, Completed: 2000 - c.fail, Failed: c.fail}, Sending: 2 * time.Second})
		r.CPU = &CPUReport{}
		if c.err != "" {
			r.PeerError = c.err
		} else {
			r.Joint(&c.p)
		}
		r.Limit(0, 0)
		r.Conclude()
		if v := r.Verdict; v.ID != c.id || v.Text != c.text || v.OK != (c.id == "received") {
			t.Errorf("%s: %+v\nwant %s", c.name, v, c.text)
		}
	}
}

func TestLimitedBy(t *testing.T) {
	slow := int64(-20_000)
	for _, c := range []struct {
		want   string
		change func(*Report)
		speed  uint64
		waited time.Duration
	}{
		{"cpu", func(*Report) {}, 0, 0},
		{"ring", func(r *Report) { r.Totals.Blocked = 300_000_000 }, 0, 0},
		{"cpu", func(r *Report) { r.Totals.Blocked = 300_000_000 }, 0, 1900 * time.Millisecond},
		{"cpu", func(r *Report) { r.CPU.System = 1_800_000_000 }, 0, 0},
		{"cpu", func(*Report) {}, 0, 1900 * time.Millisecond},
		{"link", func(*Report) {}, 690_000, 0},
		{"cpu", func(*Report) {}, 1_000_000, 0},
		{"cpu", func(r *Report) {
			r.Peer = &peer.Report{Lost: 5, Drops: map[string]uint64{peer.BadChecksum: 5}, Elapsed: 100}
		}, 0, 0},
		{"receiver_buffer", func(r *Report) { r.Peer = &peer.Report{Lost: 5, Drops: map[string]uint64{"x": 5}, Elapsed: 100} }, 0, 0},
		{"peer_cpu", func(r *Report) {
			r.Peer = &peer.Report{Lost: 5, Drops: map[string]uint64{"x": 5}, Elapsed: 100, CPU: 95}
		}, 0, 0},
		{"rate", func(r *Report) { r.Pacing = &PacingReport{Error: new(int64)} }, 0, 0},
		{"cpu", func(r *Report) { r.Pacing = &PacingReport{Error: &slow} }, 0, 0},
		{"", func(r *Report) { r.TooShort = "too short" }, 0, 0},
	} {
		r := Report{Mix: MixOf(true, []int{18}, 1500, 0)}
		r.Fill(Config{Count: 2000}, Result{Counts: Counts{Submitted: 2000, Completed: 2000}, Sending: 2 * time.Second, Elapsed: 2 * time.Second})
		r.CPU = &CPUReport{}
		c.change(&r)
		if got := r.limit(c.speed, c.waited); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
