// SPDX-License-Identifier: Apache-2.0

package blast

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/failif"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/icmp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// Schema names the form of Report.
const Schema = "wsk-xdp.blast/1"

// Report is the JSON document of a run. A packet is one UDP datagram; a datagram above the MTU is several frames. What
// was not measured is left out.
type Report struct {
	host.Head
	Config  ConfigReport      `json:"config"`
	Path    session.Path      `json:"path"`
	Granted []session.Granted `json:"granted"`
	Totals  Totals            `json:"totals"`
	// Warmup is what was sent before the run, and is counted nowhere else.
	Warmup *WarmupReport `json:"warmup,omitempty"`
	// Carried is what carried how many of the completed packets.
	Carried []Carried `json:"carried"`
	// TooShort is why there are no rates, no pacing error and no cost, empty where there are.
	TooShort string   `json:"too_short,omitempty"`
	Latency  *Latency `json:"latency,omitempty"`
	// HDR are histograms in full, as HdrHistogram writes them (V2, compressed, base64), absent where nothing was measured.
	HDR      *HDR          `json:"hdr,omitempty"`
	Pacing   *PacingReport `json:"pacing,omitempty"`
	CPU      *CPUReport    `json:"cpu,omitempty"`
	Queues   []QueueReport `json:"queues"`
	SlowPath SlowReport    `json:"slow_path"`
	// ByDaemon says that a daemon has the queues, and counts what carried the packets.
	ByDaemon bool `json:"-"`
	// Peer is what the receiver has counted, absent where nobody was asked; PeerError why it is missing.
	Peer      *peer.Report `json:"peer,omitempty"`
	PeerError string       `json:"peer_error,omitempty"`
	// LimitedBy is what kept the run from being faster: rate, ring, send_buffer, cpu, link, receiver_buffer or peer_cpu.
	LimitedBy string `json:"limited_by,omitempty"`
	// ICMPErrors is what hosts and routers sent back about the run.
	ICMPErrors []icmp.Error     `json:"icmp_errors"`
	Intervals  []IntervalReport `json:"intervals"`
	// Steps are those of a schedule, as far as the run came.
	Steps       []StepReport `json:"steps,omitempty"`
	Warnings    []string     `json:"warnings"`
	Interrupted bool         `json:"interrupted"`
	// Lost is what the run lost on its way, empty for nothing: the interface that it began with, or the engine, with the error that ended it.
	Lost    string  `json:"lost,omitempty"`
	Verdict Verdict `json:"verdict"`
	// FailIf are the conditions of --fail-if, and what became of them.
	FailIf []failif.Outcome `json:"fail_if,omitempty"`

	// Mix is what packets are on the wire. It is set with Config.
	Mix Mix `json:"-"`
	// Facts are more rows of the table, for what a caller has measured besides.
	Facts [][]string `json:"-"`
}

// ConfigReport is the complete effective configuration.
type ConfigReport struct {
	// Engine is what was asked to send: wsk, frames, xdp, udp, sendmmsg, gso or packet.
	Engine      string `json:"engine"`
	Destination string `json:"destination"`
	// Name is the host that was looked up for it.
	Name      string   `json:"destination_name,omitempty"`
	Sources   []string `json:"sources"`
	Flows     int      `json:"flows"`
	FlowOrder string   `json:"flow_order"`
	Seed      uint64   `json:"seed"`
	// Addresses, Ports and SourcePorts are the ranges that the flows go over, as they were given.
	Addresses   string `json:"destination_addresses,omitempty"`
	Ports       string `json:"destination_ports,omitempty"`
	SourcePorts string `json:"source_ports,omitempty"`
	// SourceAddresses, SourceMAC, DestinationMAC and VLANs are what engines frames, xdp and packet wrote.
	SourceAddresses string `json:"source_addresses,omitempty"`
	SourceMAC       string `json:"source_mac,omitempty"`
	DestinationMAC  string `json:"destination_mac,omitempty"`
	VLANs           []int  `json:"vlan_ids,omitempty"`
	Queues          int    `json:"queues"`
	// Payload is that of the largest packet.
	Payload int `json:"payload_bytes"`
	// Sizes are frame sizes as they were given, where there are several.
	Sizes string `json:"sizes,omitempty"`
	// Frame is the size of an unfragmented frame with FCS, absent when the datagram is fragmented or sizes differ.
	Frame int `json:"frame_bytes,omitempty"`
	// WireL2 and WireL1 are means where sizes differ.
	WireL2    int    `json:"l2_bytes_per_packet"`
	WireL1    int    `json:"l1_bytes_per_packet"`
	Frames    int    `json:"frames_per_packet"`
	RateMax   bool   `json:"rate_max"`
	RateAsked string `json:"rate_asked"`
	RateLayer string `json:"rate_layer"`
	// Rate is in whole packets a second, MicroRate in millionths of one.
	Rate      uint64 `json:"rate_pps,omitempty"`
	MicroRate uint64 `json:"rate_micro_pps,omitempty"`
	// Schedule are rates one after the other, of which the rate above is the mean.
	Schedule []ScheduleStep `json:"schedule,omitempty"`
	// Burst is how many packets fall due at once.
	Burst     uint64 `json:"burst_packets,omitempty"`
	Count     uint64 `json:"count_packets,omitempty"`
	Duration  int64  `json:"duration_ns,omitempty"`
	Batch     int    `json:"batch_packets"`
	InFlight  int    `json:"in_flight_irps_max"`
	TTL       int    `json:"ttl,omitempty"`
	TOS       *uint8 `json:"tos,omitempty"`
	DF        bool   `json:"df"`
	Mode      string `json:"mode"`
	Require   string `json:"require,omitempty"`
	Interface string `json:"interface,omitempty"`
	// CPUs are the processors that the sending threads were pinned to.
	CPUs []int `json:"cpus,omitempty"`
	// Stamp is what the payloads begin with, Run the number of the run in it.
	Stamp string `json:"stamp"`
	Run   uint16 `json:"run"`
}

// From adds what sockets are bound to.
func (c *ConfigReport) From(sources []netip.AddrPort) {
	for _, local := range sources {
		c.Sources = append(c.Sources, local.String())
	}
}

// Totals are counts of the whole run.
type Totals struct {
	// Requested is what rate and duration, or the count, asked for; absent when neither says.
	Requested  uint64        `json:"requested_packets,omitempty"`
	Submitted  uint64        `json:"submitted_packets"`
	Completed  uint64        `json:"completed_packets"`
	Failed     uint64        `json:"failed_packets"`
	ByStatus   []StatusCount `json:"failed_by_status"`
	IRPs       uint64        `json:"irps"`
	Unfinished int           `json:"unfinished_irps"`
	Payload    uint64        `json:"completed_payload_bytes"`
	Sending    int64         `json:"sending_ns"`
	Elapsed    int64         `json:"elapsed_ns"`
	// Blocked is how long the sender waited because every IRP was in flight.
	Blocked int64 `json:"blocked_ns"`
	// Rates are over the time of sending; that of completions over the time until the last success, if that is longer.
	// They are absent from runs that are too short to tell.
	SubmittedPPS *uint64 `json:"submitted_pps,omitempty"`
	CompletedPPS *uint64 `json:"completed_pps,omitempty"`
	L1Bits       *uint64 `json:"completed_l1_bits_per_second,omitempty"`
	L2Bits       *uint64 `json:"completed_l2_bits_per_second,omitempty"`
}

// Carried is how many of the completed packets one way took.
type Carried struct {
	Engine  string `json:"engine"`
	Packets uint64 `json:"packets"`
}

// The ways of Carried.
const (
	EngineWSK    = "wsk"    // AF_XDP
	EngineFrames = "frames" // AF_XDP, without WSK
	EngineXDP    = "xdp"    // live frames: the kernel makes them, a driver takes them
	EnginePacket = "packet" // a packet socket's ring: past the kernel's stack, and not AF_XDP
	EngineDaemon = "daemon" // its queues, or the stack of its host
	EngineKernel = "kernel" // the kernel's own stack: the slow path

	// Sockets of the kernel, asked for by name: a call for each datagram, a vector of them, a buffer that is cut.
	EngineUDP      = "udp"
	EngineSendmmsg = "sendmmsg"
	EngineGSO      = "gso"
)

// isSockets is whether an engine is sockets of the kernel.
func isSockets(engine string) bool {
	return engine == EngineUDP || engine == EngineSendmmsg || engine == EngineGSO
}

// StatusCount is how many packets ended in a status.
type StatusCount struct {
	Status  string `json:"status"`
	Code    uint32 `json:"status_code"`
	Packets uint64 `json:"packets"`
}

// CPUReport is the processor time of this process during the run, which in copy mode includes the kernel's transmission
// and, on a veth, much of the reception.
type CPUReport struct {
	User      int64  `json:"user_ns"`
	System    int64  `json:"system_ns"`
	PerPacket uint64 `json:"ns_per_packet,omitempty"`
}

// QueueReport is what one queue did during the run.
type QueueReport struct {
	Interface string `json:"interface"`
	Queue     int    `json:"queue"`
	State     string `json:"state"`
	Submitted uint64 `json:"submitted_frames"`
	Completed uint64 `json:"completed_frames"`
	Dropped   uint64 `json:"dropped_frames"`
	Kicks     uint64 `json:"kick_syscalls"`
	Saved     uint64 `json:"kicks_saved"`
	Parked    uint64 `json:"parked_sends"`
	Rebuilds  uint64 `json:"rebuilds"`
	Foreign   uint64 `json:"foreign_completions"`
}

// SlowReport counts sends that went through the kernel's own stack.
type SlowReport struct {
	Sent   uint64 `json:"sends"`
	Failed uint64 `json:"failed_sends"`
}

// Verdict is how a run went. OK says that the sender found nothing wrong, and no more than that.
type Verdict struct {
	// ID is a word for programs: sent, or the first of what was wrong.
	ID   string `json:"id"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// IntervalReport is about a second, or the rest of a run or of a step.
type IntervalReport struct {
	Start     int64  `json:"start_ns"`
	End       int64  `json:"end_ns"`
	Submitted uint64 `json:"submitted_packets"`
	Completed uint64 `json:"completed_packets"`
	Failed    uint64 `json:"failed_packets"`
	InFlight  int    `json:"in_flight_irps"`
	P50       int64  `json:"completion_p50_ns,omitempty"`
	P99       int64  `json:"completion_p99_ns,omitempty"`
	// Step is that of the schedule in which it began, from 1.
	Step int `json:"step,omitempty"`
}

// Fill enters the result of a run into a report whose Config is set already.
func (r *Report) Fill(c Config, res Result) {
	t := &r.Totals
	t.Submitted, t.Completed, t.Failed, t.IRPs, t.Unfinished = res.Submitted, res.Completed, res.Failed, res.Calls, res.Unfinished
	t.Requested = Requested(c)
	t.Payload = res.Payload
	t.Sending, t.Elapsed, t.Blocked = res.Sending.Nanoseconds(), res.Elapsed.Nanoseconds(), res.Blocked.Nanoseconds()
	if r.TooShort = tooShort(c, res); r.TooShort == "" {
		completed := perSecond(res.Completed, max(res.Sending, res.Completing))
		t.SubmittedPPS, t.CompletedPPS = new(perSecond(res.Submitted, res.Sending)), &completed
		t.L1Bits = new(uint64(math.Round(r.Mix.bits(float64(completed), r.Mix.L1Bytes))))
		t.L2Bits = new(uint64(math.Round(r.Mix.bits(float64(completed), r.Mix.L2Bytes))))
	}
	t.ByStatus = []StatusCount{}
	for status, n := range res.ByStatus {
		t.ByStatus = append(t.ByStatus, StatusCount{status.String(), uint32(status), n})
	}
	slices.SortFunc(t.ByStatus, func(a, b StatusCount) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Code, b.Code))
	})
	if res.Latency.Count > 0 {
		r.Latency = &res.Latency
		r.HDR = histogramOf(res.Completions)
	}
	if c.Rate > 0 {
		r.Pacing = pacingOf(&c, &res, r.TooShort == "")
	}
	r.Interrupted = res.Interrupted
}

// Heard enters the ICMP errors that came back: about the run, and about what was sent before it.
func (r *Report) Heard(run, before []icmp.Error) {
	r.ICMPErrors = run
	if r.Warmup != nil {
		r.Warmup.ICMPErrors = before
	}
}

// tooShort says why rates would mean nothing, or nothing.
func tooShort(c Config, res Result) string {
	switch {
	case res.Sending < leastSending:
		return fmt.Sprintf("%s of sending, %v are needed", units.Nanoseconds(res.Sending.Nanoseconds()), leastSending)
	case c.Rate > 0 && res.Submitted < leastPackets:
		return fmt.Sprintf("%s, %s are needed", units.Plural(int(res.Submitted), "packet"), units.Grouped(leastPackets))
	}
	return ""
}
