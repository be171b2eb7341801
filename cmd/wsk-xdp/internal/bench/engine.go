// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Base is the engine that ratios refer to.
const Base = "wsk"

// lane sends from one goroutine.
type lane interface {
	// burst hands over some datagrams, about [burst] of them, and returns how many. What can't go now is no error:
	// the next call comes at once.
	burst() (int, error)
	// syscalls is how many system calls the bursts made so far for sending and for collecting completions.
	syscalls() uint64
}

// rig is an engine made ready.
type rig struct {
	lanes []lane
	// drain waits, after the last burst, for what is still under way. nil: nothing is when a burst returns.
	drain func()
	// failed is the number of datagrams that the engine knows to have failed. nil: it can't tell.
	failed func() uint64
	// granted is what the kernel gave, for the report.
	granted func() any
	// close gives everything back, after the last burst.
	close func() error
}

// engine is a way to send.
type engine struct {
	name, summary string
	open          func(ctx context.Context, j *job) (*rig, error)
}

// engines in the order of reports.
var engines = []engine{
	{"wsk", "WskSendTo, one datagram per IRP", openWsk},
	{"wsk-kick", "the same with a kick for every datagram", openWskKick},
	{"wsk-batch", "WskSendMessages, lists of 64", openWskBatch},
	{"asavie", "github.com/asavie/xdp, bursts of 64 ready-made frames", openAsavie},
	{"udp", "net.UDPConn, one WriteToUDPAddrPort per datagram", openUDP},
	{"sendmmsg", "x/net WriteBatch, 64 messages", openSendmmsg},
	{"sendmmsg-raw", "sendmmsg(2) on a prepared vector of 64", openSendmmsgRaw},
	{"gso", "UDP_SEGMENT on connected sockets, up to 64 segments", openGSO},
	{"packet", "PACKET_TX_RING with PACKET_QDISC_BYPASS, ready-made frames", openPacket},
}

// Names are the engines that there are.
func Names() []string {
	out := make([]string, len(engines))
	for i, e := range engines {
		out[i] = e.name
	}
	return out
}

// Summary describes an engine in a few words, empty for none of ours.
func Summary(name string) string {
	if i := engineIndex(name); i >= 0 {
		return engines[i].summary
	}
	return ""
}

func engineIndex(name string) int {
	return slices.IndexFunc(engines, func(e engine) bool { return e.name == name })
}

// later reports whether a kernel socket only wants to be asked again.
func later(err error) bool {
	return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}
