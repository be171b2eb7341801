// SPDX-License-Identifier: Apache-2.0

package wsk

// AttendedEndpoint is optional, of a ReceivingEndpoint: it lets a caller who waits for a datagram read, instead of a goroutine of the
// transport's, which would have to wake the caller.
type AttendedEndpoint interface {
	// Reading is what the next datagram is likely to be read from, or nil.
	Reading() Reading
	// Attend reads there until pending is over, or for as long as the transport likes, which may be not at all. Datagrams for
	// this endpoint are handed over on the calling goroutine, those for others are not. alone says that nobody else waits for
	// a datagram of the endpoint. An Interrupt follows when pending is over. pending may be asked for longer than that: it says then
	// of the caller's next wait, if there is one, whether that is over.
	Attend(r Reading, pending Pending, alone bool)
}

// Reading is where an endpoint's datagrams are read.
type Reading interface {
	// Interrupt ends an Attend whose pending is over. It does not block, and is harmless at any time.
	Interrupt()
}

// Pending is what somebody waits for.
type Pending interface {
	// Over reports whether it has come.
	Over() bool
}
