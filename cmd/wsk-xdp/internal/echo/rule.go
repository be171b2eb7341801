// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Cause is why a datagram gets no answer. The empty one is none.
type Cause string

// The causes, which are keys in JSON documents.
const (
	NotAPing Cause = "not_a_ping"         // and Any is not set
	AnAnswer Cause = "an_answer"          // of an echo, which must not begin to talk to another
	OwnPort  Cause = "from_own_port"      // so may be another echo
	LowPort  Cause = "from_low_port"      // with Any: services that answer anything have such ports
	PortZero Cause = "from_port_0"        // nobody's
	NotAHost Cause = "source_not_unicast" // the answer would go to many, or to nobody
	ToGroup  Cause = "sent_to_group"      // many would answer
	NoRoom   Cause = "no_room"            // every answer that there is room for is under way
	AtEnd    Cause = "held_at_end"        // its time had not come when the echo ended
)

// What gets no answer and is no refusal. Each has a count of its own.
const (
	onPurpose Cause = "dropped"  // as Path says
	ofBlast   Cause = "of_blast" // a numbered packet of blast: what loads the way, for instance of ping --under-load
)

// firstPort is the first that is not reserved for services of the system.
const firstPort = 1024

// Rule says what is answered.
type Rule struct {
	// Port is the one that datagrams come to.
	Port uint16
	// Any answers what is no ping, too.
	Any bool
	// Path is what is done to answers.
	Path Path
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// judge says why a datagram gets no answer, nothing where it gets one. head is its beginning; cast is whether it was sent
// to a group or everybody. Broadcast addresses of networks are not known here: those who send refuse them.
func (r Rule) judge(head []byte, from netip.AddrPort, cast bool) Cause {
	a := from.Addr().Unmap()
	switch {
	case stamp.IsAnswer(head):
		return AnAnswer
	case !r.Any && !stamp.IsPing(head):
		if _, ok := stamp.Parse(head); ok {
			return ofBlast
		}
		return NotAPing
	case from.Port() == 0:
		return PortZero
	case from.Port() == r.Port:
		return OwnPort
	case r.Any && !stamp.IsPing(head) && from.Port() < firstPort:
		return LowPort
	case !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a == limitedBroadcast:
		return NotAHost
	case cast:
		return ToGroup
	case r.Path.drops(head):
		return onPurpose
	}
	return ""
}

// answer makes a datagram that gets an answer what is sent back, in place.
func answer(b []byte) {
	if stamp.IsPing(b) {
		stamp.MakeAnswer(b)
	}
}
