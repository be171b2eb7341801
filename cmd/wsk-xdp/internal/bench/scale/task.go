// SPDX-License-Identifier: Apache-2.0

package scale

import "time"

// task is what a child is told.
type task struct {
	Engine       string
	Interface    string
	IPVersion    int
	Destinations int
	Sockets      int
}

// event is a line of a child: "sending" when the first datagram has been handed over, and "done" at the end.
type event struct {
	Event string `json:"event"`
	// First is the time from the start of opening to the first datagram.
	First time.Duration `json:"first"`
	Sent  uint64        `json:"sent"`
	// Failed are those of which the engine knows that they did not leave, Slow those that left by the kernel's stack, and
	// Asked how often the kernel was asked for a way.
	Failed uint64 `json:"failed"`
	Slow   uint64 `json:"slow"`
	Asked  uint64 `json:"asked"`
}

const (
	eventSending = "sending"
	eventDone    = "done"
)
