// SPDX-License-Identifier: Apache-2.0

package wsk

// maxSegments is how many datagrams one receive gets at most (UDP_GRO_CNT_MAX of Linux).
const maxSegments = 64

// run are datagrams of one flow that one receive gets together, where UDP_RECV_MAX_COALESCED_SIZE asks for that: all of the
// same size save the last, which may be shorter, by the rules of Linux (net/ipv4/udp_offload.c, udp_gro_receive_segment).
// They are linked by Next, and copied one after the other.
type run struct {
	first, last *Datagram
	room        int // bytes
	bytes, n    int
	over        bool // nothing can follow
}

// beginRun makes a run of one datagram, which has no Next. room is how much the receive takes, most the option.
func beginRun(d *Datagram, room uintptr, most uint32) run {
	return run{
		first: d, last: d, bytes: len(d.Payload), n: 1,
		room: int(min(uint64(room), uint64(most), MaxPayload4)),
		over: most == 0 || d.Err != nil || d.Segment != 0 || len(d.Payload) == 0,
	}
}

// takes reports whether a datagram, the next that came, goes into the run.
func (r *run) takes(d *Datagram) bool {
	a, n := r.first, len(d.Payload)
	return !r.over && n != 0 && n <= len(a.Payload) && r.bytes+n <= r.room && r.n < maxSegments &&
		d.Err == nil && d.Segment == 0 && d.Source == a.Source && d.Destination == a.Destination && d.IfIndex == a.IfIndex &&
		d.TTL == a.TTL && d.TOS == a.TOS && d.Cast == a.Cast && d.OverIPv6 == a.OverIPv6
}

func (r *run) add(d *Datagram) {
	d.Next = nil
	r.last.Next = d
	r.last = d
	r.bytes += len(d.Payload)
	r.n++
	r.over = len(d.Payload) < len(r.first.Payload)
}

// fillRun stores the payloads of a run, and returns how many bytes that are. The run fits.
func (b *Buf) fillRun(d *Datagram) (n int) {
	for c := b.Cursor(0); d != nil; d = d.Next {
		for rest := d.Payload; len(rest) != 0; {
			piece := c.Next(len(rest))
			if len(piece) == 0 {
				return n
			}
			copied := copy(piece, rest)
			rest = rest[copied:]
			n += copied
		}
	}
	return n
}
