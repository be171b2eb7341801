// SPDX-License-Identifier: Apache-2.0

// Package frame is bytes without I/O: it builds, cuts up and reads Ethernet frames that carry UDP over IPv4 or IPv6.
// It imports the standard library only and works on every operating system.
//
//	 Ethernet 14 │ 802.1Q 0, 4 or 8 │ IPv4 20 or IPv6 40 │ [fragment 8] │ UDP 8 │ payload
//	├──────────────────────── Template.HeaderLen (no fragment header) ──────────┤
//
// # Building
//
// A [Template] holds the headers of one flow with everything summed that does not change from datagram to datagram.
// The caller gathers the payload behind the place of the headers, summing it on the way, and has the headers written
// last:
//
//	t, err := frame.NewTemplate(flow)            // once per flow
//	var sum frame.Sum
//	at := t.HeaderLen()
//	for _, piece := range pieces {               // of any lengths, odd ones too
//		sum.CopyAdd(chunk[at:], piece)
//		at += len(piece)
//	}
//	n := t.PutHeaders(chunk, at-t.HeaderLen(), id, sum)
//	transmit(chunk[:n])
//
// [Template.PlanFragments] and [Template.PlanSegments] say which part of a larger payload goes into which frame;
// gathering stays the caller's work, so the payload is touched once and never copied in between.
//
// # Reading
//
// [Parse] is total: it accepts any bytes, never panics, never allocates, and either says that a frame is one whole
// UDP datagram or gives a [Reason] why not. [VerifyChecksums] is a second step, because a network card may have
// done it already.
//
// # Views
//
// [Ethernet], [VLAN], [IPv4], [IPv6], [IPv6Fragment] and [UDP] are byte slices with accessors. The contract is: validate
// once, then access. When Valid has reported true, no accessor can panic and every slice that one returns lies
// inside the view; before that, accessors may panic on short input. A view never owns its bytes: it is as good as the
// memory under it, and memory that another party can write must be copied or parsed once, not viewed twice.
//
// # Byte order
//
// Everything on the wire is big-endian. Every function here takes and returns values of the host ("a length
// of 28 is 28"), checksums included: a checksum is the number whose high octet goes first.
//
// # Concurrency
//
// Nothing in the package has state of its own. A Template does not change after NewTemplate and may be used by
// any number of goroutines at once; views and Sums follow the rules of the memory they lie in.
package frame
