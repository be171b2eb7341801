// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"time"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Granted is what a socket really has, read back from the kernel after the bind.
type Granted struct {
	Ifname  string
	IfIndex int
	Queue   uint32

	// Mode is ModeCopy or ModeZeroCopy.
	Mode Mode
	// FallbackReason is why ModeAuto ended in copy mode, nil otherwise.
	FallbackReason error
	// Offload says what completes a checksum that TX metadata ask for. With OffloadNone a descriptor must not have
	// DescTxMetadata. OffloadRefused is why it is less than Options.Offload, nil otherwise.
	Offload        Offload
	OffloadRefused error
	// FrameChunks is the most chunks that one frame to be sent may lie in. It is 1 without Options.MultiBuffer, and where the
	// kernel or the driver has no such frames.
	FrameChunks int
	// NeedWakeup is whether the rings' need-wakeup flags mean anything.
	NeedWakeup bool
	// TxBudget is how many frames one Kick transmits at most in copy mode. It is 32 where the kernel can't be told,
	// though some of those kernels transmit only 16 (Linux 5.10).
	TxBudget uint32
	// SndBuf is the send buffer in bytes as the kernel accounts it, twice what was set.
	SndBuf int
	// HugePages is whether the UMEM got them.
	HugePages bool

	ChunkSize, TxChunks, RxChunks, Headroom  uint32
	TxRing, CompletionRing, FillRing, RxRing uint32

	// TxQueues is the number of TX queues that Queue was checked against.
	TxQueues nic.QueueCount
	// BindWait is how long the bind was repeated for EBUSY.
	BindWait time.Duration
}
