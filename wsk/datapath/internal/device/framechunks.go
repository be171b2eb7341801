// SPDX-License-Identifier: Apache-2.0

package device

import (
	"cmp"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/receive"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// mostFrameChunks is how many chunks of a frame a socket in copy mode takes, as xdp.Granted.FrameChunks says.
const mostFrameChunks = 18

// frameChunks is how many chunks the frames lie in that the sockets of an interface are given, of a room for so many bytes each. It is 1
// where all fit one, and where a socket might drop others: the program is told before there is a socket, and one that zero-copy is
// refused goes on in copy mode. The rest is the kernel's, in whose stack it may be overtaken.
// probe asks the kernel for such frames in copy mode.
//
// In zero-copy a full RX ring not only cuts a frame short: the kernel takes its first chunk back although it is in the ring
// (net/xdp/xsk.c, xsk_rcv_zc). The ring has room for all chunks unless the options say how large it is.
func frameChunks(o *xdp.Options, facts *nic.Interface, room int, probe func() error) (int, error) {
	if room <= 0 {
		return 1, nil // no socket is opened with such options
	}
	n := min((longestFrame(facts.MTU)+room-1)/room, mostFrameChunks, receive.MostFrameChunks(int(o.RxChunks)))
	if o.RxRing != 0 {
		n = min(n, int(o.RxRing))
	}
	if o.Mode != xdp.ModeCopy && (facts.Device.XDP.ZeroCopy() || facts.DeviceErr != nil) {
		n = min(n, int(facts.Device.ZCMaxSegs))
		if o.RxRing != 0 {
			n = 1
		}
	}
	if n <= 1 {
		return 1, nil
	}
	if err := probe(); err != nil {
		return 1, err
	}
	return n, nil
}

// longestFrame is the longest frame of an interface with an MTU.
func longestFrame(mtu int) int { return mtu + frame.EthernetLen + frame.MaxVLANTags*frame.VLANTagLen }

// chunkSize is the size of a socket's chunks.
func chunkSize(o *xdp.Options) int {
	return int(cmp.Or(o.ChunkSize, xdp.DefaultOptions("", o.Queue).ChunkSize))
}

// copyChunks asks on the loopback interface: frames of several chunks in copy mode do not depend on the device, and the queue of the
// interface itself would be busy for a while after the question.
func copyChunks() error { return xdp.ProbeMultiBuffer("lo", 0) }
