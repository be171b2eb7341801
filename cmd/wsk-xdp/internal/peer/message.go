// SPDX-License-Identifier: Apache-2.0

// Package peer is how blast and recv talk about a run: over TCP, on the same port number as the datagrams, so that one
// hole in a firewall is enough. Each message is a line of JSON.
//
//	blast ── hello ──►  recv      which run will come, and how its datagrams look
//	blast ◄─ welcome ── recv      or refused, with a sentence
//	blast ◄─ interval ─ recv      about every second
//	blast ── end ────►  recv      how many datagrams were sent
//	blast ◄─ report ─── recv      what became of them, when all have come or waiting for them has ended
//
// A receiver does nothing for a sender but count its run.
package peer

// Protocol is the version of what is said here. Both ends must have the same.
const Protocol = 1

// MaxLine bounds a message. The largest is a hello with the payload of the largest datagram.
const MaxLine = 256 << 10

// Message is one of these.
type Message struct {
	Hello    *Hello    `json:"hello,omitempty"`
	Welcome  *Welcome  `json:"welcome,omitempty"`
	Refused  string    `json:"refused,omitempty"`
	Interval *Interval `json:"interval,omitempty"`
	End      *End      `json:"end,omitempty"`
	Report   *Report   `json:"report,omitempty"`
}

// Hello announces a run.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	Run      uint16 `json:"run"`
	// Clock is stamp.Identity.
	Clock string `json:"clock"`
	// Payload is what the datagrams hold behind their stamps, that of the largest; shorter ones have its beginning.
	Payload []byte `json:"payload"`
	// Smallest and Largest are the sizes of payloads, stamps included.
	Smallest int `json:"smallest_bytes"`
	Largest  int `json:"largest_bytes"`
}

// Welcome says that the run will be counted.
type Welcome struct {
	Version     string `json:"version"`
	Engine      string `json:"engine"`
	ClockShared bool   `json:"clock_shared"`
}

// Interval is what has come so far.
type Interval struct {
	// Elapsed is since the welcome.
	Elapsed   int64  `json:"elapsed_ns"`
	Received  uint64 `json:"received_packets"`
	Lost      uint64 `json:"lost_packets"`
	Duplicate uint64 `json:"duplicate_packets"`
	Reordered uint64 `json:"reordered_packets"`
}

// End says how many datagrams of each stream were sent.
type End struct {
	Sent []uint64 `json:"sent"`
}

// Report is what became of the run, in JSON documents too. Every datagram that came is of one class, and received, lost
// and late ones are together as many as were sent.
type Report struct {
	Version     string `json:"version"`
	Engine      string `json:"engine"`
	ClockShared bool   `json:"clock_shared"`
	Received    uint64 `json:"received_packets"`
	Lost        uint64 `json:"lost_packets"`
	Duplicate   uint64 `json:"duplicate_packets"`
	// Reordered ones were received, too, behind others that were sent later; Extent is by how many places at most.
	Reordered uint64 `json:"reordered_packets"`
	Extent    uint64 `json:"reorder_extent_max"`
	Late      uint64 `json:"late_packets"`
	Corrupt   uint64 `json:"corrupt_packets"`
	// Foreign are datagrams to the port that were no run's, while this one ran; Refused those of the run for which the
	// receiver had no memory.
	Foreign uint64 `json:"foreign_packets"`
	Refused uint64 `json:"refused_packets"`
	// Balanced is whether the sums are right.
	Balanced bool `json:"balanced"`
	// Drops are what the receiver's own buffers and rings had no room for, or came with a wrong checksum, by cause, all runs together.
	Drops map[string]uint64 `json:"drops"`
	// Receiving is the time from the first to the last datagram.
	Receiving int64 `json:"receiving_ns"`
	// Delay is the time from a stamp to the receiver, where both read the same clock.
	Delay *Delay `json:"one_way,omitempty"`
	// HDR is the histogram of these times in full, absent where there are none.
	HDR *HDR `json:"hdr,omitempty"`
	// CPU is the processor time of the receiver from the welcome to now.
	CPU     int64 `json:"cpu_ns"`
	Elapsed int64 `json:"elapsed_ns"`
	// Intervals are those that the sender has heard of; they are not sent again.
	Intervals []Interval `json:"intervals"`
}

// HDR is a histogram as HdrHistogram writes it: V2, compressed, base64.
type HDR struct {
	OneWay string `json:"one_way"`
}

// Delay is a summary of times, in nanoseconds.
type Delay struct {
	Count int64 `json:"packets"`
	Min   int64 `json:"min_ns"`
	P50   int64 `json:"p50_ns"`
	P90   int64 `json:"p90_ns"`
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p99_9_ns"`
	Max   int64 `json:"max_ns"`
}

// BadChecksum is the cause of what came with a wrong checksum.
const BadChecksum = "bad_checksum"

// Shared is whether a cause counts what any socket of the receiver's network namespace gets: the kernel tells engine udp no more of a wrong
// checksum.
func Shared(engine, cause string) bool { return engine == "udp" && cause == BadChecksum }

// Full is whether the receiver had no room for something.
func (r *Report) Full() bool {
	for cause := range r.Drops {
		if cause != BadChecksum {
			return true
		}
	}
	return false
}
