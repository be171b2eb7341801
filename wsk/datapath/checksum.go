// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// ChecksumMode says who computes UDP checksums. Whatever it is, this side does so until the other has proved that it can
// (docs/checksums.md). Fragments are always summed here, since the sum covers more than the frame that carries it.
type ChecksumMode uint8

// Checksum modes.
const (
	// ChecksumAuto leaves the sum to the NIC where a zero-copy driver reports that it computes it (tx-checksum), and a proof
	// succeeded. In copy mode this side sums while it copies, which is cheaper than what the kernel would do.
	ChecksumAuto ChecksumMode = iota
	// ChecksumSoftware never leaves it to anybody, and sends no proof.
	ChecksumSoftware
	// ChecksumPartial is ChecksumAuto, and in copy mode frames are handed over as the kernel's own UDP sockets do it
	// (xdp.OffloadPartial). Worth trying on a NIC without zero-copy whose tx-checksumming is on.
	ChecksumPartial
	// ChecksumKernel is ChecksumAuto, and in copy mode the kernel sums on the processor (xdp.OffloadKernel). It is right on
	// every device and slower than ChecksumSoftware: it is there to test the way of the metadata.
	ChecksumKernel
)

// String names the mode as the CLI spells it.
func (m ChecksumMode) String() string {
	switch m {
	case ChecksumAuto:
		return "auto"
	case ChecksumSoftware:
		return "software"
	}
	return m.offload().String()
}

// offload is what the sockets of a datapath ask for.
func (m ChecksumMode) offload() xdp.Offload {
	switch m {
	case ChecksumSoftware:
		return xdp.OffloadNone
	case ChecksumPartial:
		return xdp.OffloadPartial
	case ChecksumKernel:
		return xdp.OffloadKernel
	}
	return xdp.OffloadDriver
}

// OffloadInfo is what is known about one kind of frame on a queue whose socket may complete checksums.
type OffloadInfo struct {
	IPv6 bool
	Tags int // VLAN tags in the frame
	// Proved is whether the checksums of such frames are left to the other side.
	Proved bool
	// Why is the reason while it is not proved; nil while the proof runs.
	Why error
}
