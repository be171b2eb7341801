// SPDX-License-Identifier: Apache-2.0

// Package ping sends numbered datagrams by a schedule, and measures how long their answers take from the time that each
// was due.
//
// A ping that could not leave when it was due, because the sender or the way stood still, has waited all the same, and so
// would have whatever it stands for. Measured from the call that sent it, a pause of 100 ms in which a hundred pings were
// due would be one long round trip or none at all (coordinated omission). Both times are kept, and how late each left.
//
//	run ── Schedule: when is the next due? ──► Link: send ──► … ──► Tally: which came back, how long did it take?
package ping
