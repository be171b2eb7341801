// SPDX-License-Identifier: Apache-2.0

// Package blast sends datagrams at a rate and measures what becomes of their IRPs.
//
// The parts are separate so that another engine or another source of datagrams can take the place of one: size.go and
// mix.go know what datagrams are on the wire, pacer.go when the next may leave, slots.go keeps the IRPs in flight, sender.go
// submits them, meter.go counts what came back, runner.go puts them together.
//
//	runner ── Pacer: how many now? ──► slots: take ──► WskSendTo / WskSendMessages
//	   ▲                                  ▲                     │
//	   └── meter ◄── collect ─────────────┴── completion routine┘
//
// One goroutine submits and counts; completion routines, on whatever goroutine, only stamp their slot and hand it
// back. Nothing is allocated per datagram.
package blast
