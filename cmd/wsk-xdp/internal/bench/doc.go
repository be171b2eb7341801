// SPDX-License-Identifier: Apache-2.0

// Package bench compares ways to send the same UDP datagrams, side by side on one machine, counted where they arrive.
//
//	parent                                        sending namespace             receiving namespace
//	Run ── rounds.go: who is next ──┐            ┌───────────────────┐  veth   ┌──────────────────┐
//	  ▲                             └─ fork ────►│ child: one engine ├────────►│ XDP: count, drop │
//	  │                                          └───────────────────┘         └────────┬─────────┘
//	  └── window.go: count, clock, CPU time of the child at two moments ◄───────────────┘
//
// An engine (engine.go, engine_*.go) knows how to send a burst and nothing of time. It runs in a process of its own,
// which is this binary again (child.go, package proc), so that memory, CPU time and what it leaves behind are its own.
// The parent looks from outside and needs no engine's word: packets from the receiver, CPU time and memory from the
// kernel. Only the number of system calls is the engine's own count. Programs of others take part in the same way
// (command.go).
//
// # How the numbers are made
//
// A run begins when datagrams arrive. After a warm-up the window opens for the duration; the sender goes on behind its
// end, so that neither start nor end is inside. A round is one run of every engine; every other round goes in
// reverse order. A ratio is that of two runs of one round, and the median over the rounds is reported: a machine
// that gets slower during the benchmark hits both.
//
// On a veth pair the receiver's work, up to the XDP program, is done in softirq inside the sender's system call:
// packets per second and CPU time include it, for every engine alike.
//
// Other measurements are packages of their own: latency, receive, footprint and scale. All of them run their parties through
// package proc; package provider is the WSK client that they share.
package bench
