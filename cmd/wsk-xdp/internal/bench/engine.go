// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
)

// Base is the engine that ratios refer to.
const Base = "wsk"

// lane sends from one goroutine.
type lane interface {
	// burst hands over some datagrams, about [burst] of them, and returns how many. That something can't go now is not
	// an error: the next call comes at once.
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
	// uncounted is whether the lanes can't count system calls, because others make them for them.
	uncounted bool
	// granted is what the kernel gave, for the report.
	granted func() any
	// close gives everything back, after the last burst.
	close func() error
}

// engine is a way to send.
type engine struct {
	check.Choice
	open func(ctx context.Context, j *job) (*rig, error)
}

// engines in the order of reports.
var engines = []engine{
	{check.Called("wsk", "WskSendTo, one datagram per IRP"), openWsk},
	{check.Called("wsk-kick", "the same with a kick for every datagram"), openWskKick},
	{check.Called("wsk-batch", "WskSendMessages, lists of 64"), openWskBatch},
	{check.Called("wsk-stamped", "the same, each with a number and the time, as blast sends them"), openWskStamped},
	{check.Called("daemon-lane", "the same through a daemon in a process of its own, 64 datagrams a message"), openDaemonLane},
	{check.Called("frames", "prepared frames of 1,000 flows, numbered, over AF_XDP: blast --engine frames"), openFrames},
	{check.Called("xdp", "the same frames made in the kernel (live frames), which counts them: blast --engine xdp"), openXDP},
	{check.Called("asavie", "github.com/asavie/xdp, bursts of 64 ready-made frames"), openAsavie},
	{check.Called("udp", "net.UDPConn, one WriteToUDPAddrPort per datagram"), openUDP},
	{check.Called("sendmmsg", "x/net WriteBatch, 64 messages"), openSendmmsg},
	{check.Called("sendmmsg-raw", "sendmmsg(2) on a prepared vector of 64"), openSendmmsgRaw},
	{check.Called("gso", "UDP_SEGMENT on connected sockets, up to 64 segments"), openGSO},
	{check.Called("packet", "PACKET_TX_RING with PACKET_QDISC_BYPASS, ready-made frames"), openPacket},
}

// Names are the engines that there are.
func Names() []string { return check.Names(engines) }

// Summary describes an engine in a few words, empty for none of ours.
func Summary(name string) string { return check.Summary(engines, name) }

func find(name string) *engine { return check.Find(engines, name) }

// later reports whether a kernel socket only wants to be asked again.
func later(err error) bool {
	return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}
