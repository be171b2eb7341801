// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/check"
)

// Base is the engine that ratios refer to.
const Base = "wsk"

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
