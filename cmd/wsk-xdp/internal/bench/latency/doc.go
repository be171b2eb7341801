// SPDX-License-Identifier: Apache-2.0

// Package latency measures how long a datagram takes, in processes of their own on the two ends of a veth pair.
//
//	round-trip   from the send to the reply in the application's hands; an echo of the same kind at the other end
//	idle-send    from WskSendTo on a provider with nothing to do to the completion routine; the far end drops in XDP
//	loaded-send  the same within a stream at full rate, of one datagram in 61
//	tail         from the return of the last WskSendTo of such a stream, which ends abruptly, to the last completion; the
//	             kick that sends up to a burst of datagrams is in it
//
// The children take the times (raw.go, conn.go, wsk.go, sends.go) into histograms (meter.go); the parent starts them in
// turn and puts the runs together (rounds.go, report.go). Kernel sockets are measured likewise, in the ways in which
// programs use them. Every other round goes in reverse order; a percentile is the median of that percentile over the
// runs, the maximum that of all runs.
package latency
