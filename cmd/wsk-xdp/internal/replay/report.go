// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"fmt"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Schema names the form of Report.
const Schema = "wsk-xdp.replay/1"

// How frames are paced.
const (
	PacingOriginal = "original"
	PacingRate     = "rate"
	PacingTopSpeed = "topspeed"
)

// Report is the JSON document of a run. What was not measured is left out.
type Report struct {
	host.Head
	Config  ConfigReport      `json:"config"`
	File    FileReport        `json:"file"`
	Path    session.Path      `json:"path"`
	Granted []session.Granted `json:"granted"`
	Totals  Totals            `json:"totals"`
	// TooShort is why there are no rates and no cost, empty where there are.
	TooShort string `json:"too_short,omitempty"`
	// Gaps is how the times between frames were kept, absent from runs at top speed.
	Gaps   *GapsReport         `json:"gaps,omitempty"`
	Pacing *blast.PacingReport `json:"pacing,omitempty"`
	CPU    *blast.CPUReport    `json:"cpu,omitempty"`
	Queues []blast.QueueReport `json:"queues"`
	// LimitedBy is what kept the run from being faster, absent where the times of the file did.
	LimitedBy   string           `json:"limited_by,omitempty"`
	Intervals   []IntervalReport `json:"intervals"`
	Warnings    []string         `json:"warnings"`
	Interrupted bool             `json:"interrupted"`
	Verdict     blast.Verdict    `json:"verdict"`

	// Run is the part that blast has too: it computes what is in this document, and the table.
	Run *blast.Report `json:"-"`
}

// ConfigReport is the complete effective configuration.
type ConfigReport struct {
	File      string `json:"file"`
	Pacing    string `json:"pacing"`
	RateAsked string `json:"rate_asked,omitempty"`
	RateLayer string `json:"rate_layer,omitempty"`
	Rate      uint64 `json:"rate_pps,omitempty"`
	MicroRate uint64 `json:"rate_micro_pps,omitempty"`
	// Speed is how many times as fast as captured, in millionths, where it leaves at the times of the file.
	Speed uint64 `json:"speed_millionths,omitempty"`
	// CPU is the processor that all frames left from, absent where the sender was not kept to one. From several they may
	// overtake one another.
	CPU *int `json:"cpu,omitempty"`
	// Loop is how often the file is sent, 0 until the run is stopped; Limit how many frames at most.
	Loop   uint64 `json:"loop"`
	Limit  uint64 `json:"limit_frames,omitempty"`
	Batch  int    `json:"batch_frames"`
	Source string `json:"source_mac,omitempty"`
	Dest   string `json:"destination_mac,omitempty"`
	Skip   bool   `json:"skip"`
	Force  bool   `json:"force"`
}

// FileReport is what is in the file, as far as it is sent.
type FileReport struct {
	Format  string `json:"format"`
	Records uint64 `json:"records"`
	Frames  uint64 `json:"frames"`
	Bytes   uint64 `json:"frame_bytes"`
	Largest int    `json:"largest_frame_bytes"`
	Groups  uint64 `json:"group_frames"`
	Span    int64  `json:"span_ns"`
	// Untimed frames bear no time, Backwards ones a time before that of a frame in front of them.
	Untimed   uint64 `json:"untimed_frames"`
	Backwards uint64 `json:"backwards_frames"`
	// What is left out, by cause: the capture cut it, it is more than the MTU allows, less than an Ethernet header, not of
	// Ethernet; and 1 where the file ends within a record.
	Cut        uint64 `json:"left_out_cut_records"`
	Long       uint64 `json:"left_out_long_records"`
	Short      uint64 `json:"left_out_short_records"`
	OtherLink  uint64 `json:"left_out_other_link_records"`
	Unfinished uint64 `json:"left_out_unfinished_records"`
}

// Report describes the file.
func (f *File) Report() FileReport {
	return FileReport{
		Format: f.Format, Records: f.Records, Frames: f.Frames, Bytes: f.Bytes, Largest: f.Largest, Groups: f.Groups, Span: f.Span.Nanoseconds(),
		Untimed: f.Untimed, Backwards: f.Backwards, Cut: f.LeftOut.Cut, Long: f.LeftOut.Long, Short: f.LeftOut.Short,
		OtherLink: f.LeftOut.OtherLink, Unfinished: f.LeftOut.Unfinished,
	}
}

// Totals are counts of the whole run.
type Totals struct {
	// Requested is how many frames were to be sent, absent where nothing says.
	Requested  uint64 `json:"requested_frames,omitempty"`
	Submitted  uint64 `json:"submitted_frames"`
	Completed  uint64 `json:"completed_frames"`
	Failed     uint64 `json:"failed_frames"`
	Unfinished int    `json:"unfinished_frames"`
	// Bytes are those of the frames that were completed, without FCS and padding.
	Bytes   uint64 `json:"completed_bytes"`
	Sending int64  `json:"sending_ns"`
	Elapsed int64  `json:"elapsed_ns"`
	// Blocked is how long the sender waited because the kernel had every chunk.
	Blocked      int64   `json:"blocked_ns"`
	SubmittedPPS *uint64 `json:"submitted_pps,omitempty"`
	CompletedPPS *uint64 `json:"completed_pps,omitempty"`
	L1Bits       *uint64 `json:"completed_l1_bits_per_second,omitempty"`
	L2Bits       *uint64 `json:"completed_l2_bits_per_second,omitempty"`
}

// IntervalReport is about a second.
type IntervalReport struct {
	Start     int64  `json:"start_ns"`
	End       int64  `json:"end_ns"`
	Submitted uint64 `json:"submitted_frames"`
	Completed uint64 `json:"completed_frames"`
	Failed    uint64 `json:"failed_frames"`
	InFlight  int    `json:"in_flight_frames"`
}

// Interval adds an interval, and returns what it has added.
func (r *Report) Interval(i blast.Interval) IntervalReport {
	out := IntervalReport{
		i.Start.Nanoseconds(), i.End.Nanoseconds(), i.Counts.Submitted, i.Counts.Completed, i.Counts.Failed, i.InFlight,
	}
	r.Intervals = append(r.Intervals, out)
	return out
}

// Conclude enters what Run has computed and the verdict. It goes last.
func (r *Report) Conclude(gaps *GapsReport) {
	b := r.Run
	r.TooShort, r.Pacing, r.CPU, r.Queues, r.Interrupted = b.TooShort, b.Pacing, b.CPU, b.Queues, b.Interrupted
	switch r.Config.Pacing {
	case PacingOriginal:
		b.LimitedBy = ""
	case PacingTopSpeed:
		gaps = nil
	case PacingRate:
		if gaps != nil {
			gap := int64(float64(time.Second)/blast.Rate(r.Config.MicroRate).PerSecond() + 0.5)
			gaps.Asked = &Quantiles{gap, gap, gap}
		}
	}
	r.Gaps, r.LimitedBy = gaps, b.LimitedBy
	b.Conclude()
	r.Verdict = b.Verdict
	if n := r.leftOut(); n > 0 {
		r.Verdict.Text += fmt.Sprintf("; %s of the file %s left out", units.Plural(int(n), "record"), map[bool]string{true: "is", false: "are"}[n == 1])
	}
	b.Verdict = r.Verdict
	t := &b.Totals
	r.Totals = Totals{
		Requested: t.Requested, Submitted: t.Submitted, Completed: t.Completed, Failed: t.Failed, Unfinished: t.Unfinished, Bytes: t.Payload,
		Sending: t.Sending, Elapsed: t.Elapsed, Blocked: t.Blocked,
		SubmittedPPS: t.SubmittedPPS, CompletedPPS: t.CompletedPPS, L1Bits: t.L1Bits, L2Bits: t.L2Bits,
	}
}

func (r *Report) leftOut() uint64 {
	f := &r.File
	return f.Cut + f.Long + f.Short + f.OtherLink + f.Unfinished
}

// Tables are the final tables.
func (r *Report) Tables() []*output.Table {
	r.Run.Facts = nil
	if g := r.Gaps; g != nil {
		if g.Asked != nil {
			r.Run.Facts = append(r.Run.Facts, []string{"gaps asked", g.Asked.String()})
		}
		r.Run.Facts = append(r.Run.Facts, []string{"gaps", g.Reached.String()})
		if g.Late != nil {
			r.Run.Facts = append(r.Run.Facts, []string{"late by", g.Late.String()})
		}
	}
	return r.Run.Tables()
}

// String is how the table shows them.
func (q *Quantiles) String() string {
	return fmt.Sprintf("p50 %s  p99 %s  max %s", units.Nanoseconds(q.P50), units.Nanoseconds(q.P99), units.Nanoseconds(q.Max))
}

// Plan is the file and how it is sent, in two lines of the start block.
func (r *Report) Plan() []string {
	c, f := &r.Config, &r.File
	frames := units.Plural(int(f.Frames), "frame")
	file := fmt.Sprintf("  %s · %s, %d B at most, mean %d B with FCS", f.Format, frames, f.Largest, r.Run.Mix.MeanL2())
	if n := r.leftOut(); n > 0 {
		file += fmt.Sprintf(" · %s left out", units.Plural(int(n), "record"))
	}
	how := "as fast as frames come back"
	switch c.Pacing {
	case PacingOriginal:
		how = fmt.Sprintf("at the times of the capture, which lasted %v", time.Duration(f.Span).Round(time.Microsecond))
		if speed := units.Factor(c.Speed); c.Speed > 0 {
			how = fmt.Sprintf("%v times as fast as captured, in %v instead of %v", speed, speed.Of(time.Duration(f.Span)).Round(time.Microsecond),
				time.Duration(f.Span).Round(time.Microsecond))
		}
		if f.Backwards > 0 {
			how += fmt.Sprintf(" (%s, which bear earlier times than those in front of them, follow at once)", units.Plural(int(f.Backwards), "frame"))
		}
	case PacingRate:
		how = "at " + units.PacketRate(blast.Rate(c.MicroRate).PerSecond())
	}
	limit := ""
	switch {
	case c.Loop == 0:
		limit = " · round after round until stopped"
	case c.Loop > 1:
		limit = " · " + units.Grouped(c.Loop) + " rounds"
	}
	if c.Limit > 0 {
		limit += " · " + units.Plural(int(c.Limit), "frame") + " at most"
	}
	return []string{file, "  " + how + limit}
}
