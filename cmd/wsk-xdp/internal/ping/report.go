// SPDX-License-Identifier: Apache-2.0

package ping

import (
	"cmp"
	"slices"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
)

// Schema names the form of Report.
const Schema = "wsk-xdp.ping/1"

// Report is the JSON document of ping. What was not measured is left out.
type Report struct {
	host.Head
	Config  ConfigReport      `json:"config"`
	Path    session.Path      `json:"path"`
	Granted []session.Granted `json:"granted"`
	Totals  Totals            `json:"totals"`
	// RoundTrip is from the time that a ping was due to its answer, FromSend from the call that sent it, Departure from the
	// time that it was due to that call.
	RoundTrip *Times `json:"round_trip,omitempty"`
	FromSend  *Times `json:"from_send,omitempty"`
	Departure *Times `json:"departure,omitempty"`
	// Buckets are the round trips in few steps; HDR is all of them, as HdrHistogram writes it (V2, compressed, base64).
	Buckets []Bucket `json:"buckets"`
	HDR     HDR      `json:"hdr"`
	// Load is what else was sent to the peer meanwhile, absent where nothing was.
	Load *LoadReport `json:"load,omitempty"`
	// LimitedBy is what the longest round trips are due to as far as the sender knows: the rate, where it has kept its
	// schedule, or cpu, where it came too late itself.
	LimitedBy string     `json:"limited_by"`
	SlowPath  SlowReport `json:"slow_path"`
	// Drops are answers that there was no room for at the sender, by cause, as far as that is known. They are lost.
	Drops       map[string]uint64 `json:"drops"`
	CPU         int64             `json:"cpu_ns"`
	ICMPErrors  []icmp.Error      `json:"icmp_errors"`
	Intervals   []IntervalReport  `json:"intervals"`
	Warnings    []string          `json:"warnings"`
	Interrupted bool              `json:"interrupted"`
	// Lost is what the run lost on its way, empty for nothing: the interface that it began with.
	Lost    string  `json:"lost,omitempty"`
	Verdict Verdict `json:"verdict"`
}

// HDR is a histogram in full, empty where nothing was recorded.
type HDR struct {
	RoundTrip string `json:"round_trip,omitempty"`
}

// ConfigReport is the effective configuration.
type ConfigReport struct {
	Engine      string `json:"engine"`
	Destination string `json:"destination"`
	Source      string `json:"source"`
	Payload     int    `json:"payload_bytes"`
	// MicroRate is in millionths of a ping a second.
	MicroRate uint64 `json:"rate_micro_pps"`
	Count     uint64 `json:"count_pings,omitempty"`
	Duration  int64  `json:"duration_ns,omitempty"`
	Timeout   int64  `json:"timeout_ns"`
	TTL       int    `json:"ttl,omitempty"`
	TOS       *uint8 `json:"tos,omitempty"`
	DF        bool   `json:"df"`
	Interface string `json:"interface,omitempty"`
	Run       uint16 `json:"run"`
}

// Totals are counts of the whole run. Each ping that was due is answered, late, lost, failed or unsent.
type Totals struct {
	Due      uint64 `json:"due_pings"`
	Sent     uint64 `json:"sent_pings"`
	Answered uint64 `json:"answered_pings"`
	Late     uint64 `json:"late_pings"`
	Lost     uint64 `json:"lost_pings"`
	Failed   uint64 `json:"failed_pings"`
	Unsent   uint64 `json:"unsent_pings"`
	// ByCause are the failed ones.
	ByCause   []CauseCount `json:"failed_by_cause"`
	Duplicate uint64       `json:"duplicate_packets"`
	Reordered uint64       `json:"reordered_packets"`
	Extent    uint64       `json:"reorder_extent_max"`
	Corrupt   uint64       `json:"corrupt_packets"`
	Foreign   uint64       `json:"foreign_packets"`
	// Stalled are the pings that left much later than they were due; WorstDue is when the latest was due.
	Stalled  uint64 `json:"stalled_pings"`
	WorstDue int64  `json:"worst_departure_due_ns,omitempty"`
	Sending  int64  `json:"sending_ns"`
	Elapsed  int64  `json:"elapsed_ns"`
}

// CauseCount is how many pings failed for one reason.
type CauseCount struct {
	Cause string `json:"cause"`
	Pings uint64 `json:"pings"`
}

// SlowReport counts sends of engine wsk that went through the kernel's own stack.
type SlowReport struct {
	Sent   uint64 `json:"sends"`
	Failed uint64 `json:"failed_sends"`
}

// IntervalReport is about a second. Answered includes what came late.
type IntervalReport struct {
	Start    int64  `json:"start_ns"`
	End      int64  `json:"end_ns"`
	Sent     uint64 `json:"sent_pings"`
	Answered uint64 `json:"answered_pings"`
	P50      int64  `json:"round_trip_p50_ns,omitempty"`
	P99      int64  `json:"round_trip_p99_ns,omitempty"`
	Max      int64  `json:"round_trip_max_ns,omitempty"`
}

// Verdict is how it went.
type Verdict struct {
	// ID is a word for programs: answered, or the first of what was wrong.
	ID   string `json:"id"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// Fill enters what a run did.
func (r *Report) Fill(t *Tally, res Result) {
	c := &res.Counts
	r.Totals = Totals{
		Due: res.Due, Sent: c.Sent, Answered: c.Answered, Late: c.Late, Lost: res.Lost, Failed: res.Failed, Unsent: res.Unsent,
		ByCause: []CauseCount{}, Duplicate: c.Duplicate, Reordered: c.Reordered, Extent: c.Extent, Corrupt: c.Corrupt, Foreign: c.Foreign,
		Stalled: c.Stalled, WorstDue: c.Since.Nanoseconds(), Sending: res.Sending.Nanoseconds(), Elapsed: res.Elapsed.Nanoseconds(),
	}
	for cause, n := range res.ByCause {
		r.Totals.ByCause = append(r.Totals.ByCause, CauseCount{cause, n})
	}
	slices.SortFunc(r.Totals.ByCause, func(a, b CauseCount) int {
		return cmp.Or(cmp.Compare(b.Pings, a.Pings), cmp.Compare(a.Cause, b.Cause))
	})
	r.Interrupted = res.Interrupted
	t.mu.Lock()
	defer t.mu.Unlock()
	r.RoundTrip, r.FromSend, r.Departure = summary(t.total), summary(t.fromSend), summary(t.departure)
	r.Buckets = buckets(t.total)
	if r.RoundTrip != nil {
		if text, err := t.total.Encode(hdr.V2CompressedEncodingCookieBase); err == nil { // into memory, without fail
			r.HDR.RoundTrip = string(text)
		}
	}
}

// Interval adds an interval, and returns what it has added.
func (r *Report) Interval(i Interval) IntervalReport {
	out := IntervalReport{Start: i.Start.Nanoseconds(), End: i.End.Nanoseconds(), Sent: i.Sent, Answered: i.Answered}
	if i.Times != nil {
		out.P50, out.P99, out.Max = i.Times.P50, i.Times.P99, i.Times.Max
	}
	r.Intervals = append(r.Intervals, out)
	return out
}

// Unanswered is whether nothing has come back although somebody waited for it.
func (r *Report) Unanswered() bool {
	t := &r.Totals
	return t.Answered+t.Late == 0 && !(r.Interrupted && t.Lost+t.Failed == 0)
}
