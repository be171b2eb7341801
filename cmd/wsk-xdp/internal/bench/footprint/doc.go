// SPDX-License-Identifier: Apache-2.0

// Package footprint measures what a provider that does nothing, or nearly nothing, costs: how long it takes to open,
// the time from the start of its process to its first datagram, the memory it holds, and its CPU time while it is idle.
//
// Each kind of process (kinds.go) runs in a process of its own (child.go), in a laboratory of its own whose interfaces
// have as many queues as it uses. It opens, sends one datagram, reports when that completed, and then rests. The times
// are those of several starts in turn; the memory and the CPU time at rest are those of the last ones, which rest at
// the same time (rounds.go). The kind "process" opens nothing: what Go and this program cost by themselves.
package footprint
