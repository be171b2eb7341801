// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"
)

// Mode says whether the kernel copies frames or the NIC reads them out of the UMEM.
type Mode uint8

// Bind modes. A mode is always asked for by name: with neither flag the kernel picks one in silence.
const (
	// ModeAuto tries zero-copy and falls back to copy; Granted tells the outcome and the reason.
	ModeAuto Mode = iota
	// ModeCopy works on every interface.
	ModeCopy
	// ModeZeroCopy needs a driver that supports it, and with most drivers an attached XDP program.
	ModeZeroCopy
)

// String names the mode as the CLI spells it.
func (m Mode) String() string {
	switch m {
	case ModeAuto:
		return "auto"
	case ModeCopy:
		return "copy"
	case ModeZeroCopy:
		return "zero-copy"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Limits and defaults.
const (
	// maxUMEM is the largest UMEM; more is a mistake in an option, not a wish.
	maxUMEM = 1 << 32
	// xdpHeadroom is XDP_PACKET_HEADROOM, which the kernel leaves in front of received frames.
	xdpHeadroom = 256

	defaultChunkSize = 2048
	// defaultTxChunks keeps the UMEM at 4 MiB, inside the 8 MiB that RLIMIT_MEMLOCK usually is. Larger pools fall
	// out of the cache: more memory in flight was slower in every system that tried.
	defaultTxChunks = 2048
	// idleFillRing is the fill ring of a socket that only sends: the kernel insists on one, and it takes a page anyway.
	idleFillRing = 64

	// kernelTxBudget is what one Kick transmits where nothing else is set: TX_BATCH_SIZE of net/xdp/xsk.c.
	kernelTxBudget = 32
	// defaultTxBudget keeps one Kick, which does not give up its P (see sendWakeup), to some 60 µs of small frames on
	// veth. More saves nothing: the call itself is then a hundredth of the cost (Linux 6.18, veth, 2026-11).
	defaultTxBudget = 64

	defaultBindTimeout = 2 * time.Second
)

// Options describe a socket. The zero value of a field means its default; only the interface has none.
type Options struct {
	// Ifname or IfIndex name the interface, in the network namespace of the calling thread. With both given they
	// must agree.
	Ifname  string
	IfIndex int
	// Queue is the TX queue, and the RX queue when RxChunks is set. It must be smaller than the number of real TX
	// queues.
	Queue uint32
	// Mode is copy, zero-copy, or zero-copy if possible. Default ModeAuto.
	Mode Mode

	// ChunkSize is the bytes of a chunk, 2048 or 4096. Default 2048. A frame, with the headroom, must fit one chunk.
	ChunkSize uint32
	// TxChunks is the number of chunks for sending: how many frames can be with the kernel at once. Default 2048.
	TxChunks uint32
	// RxChunks is the number of chunks for receiving. Default 0: the socket only sends, and has no RX ring.
	RxChunks uint32
	// Headroom is the bytes left free in front of each frame in its chunk; the kernel leaves as many more in front
	// of what it receives. Less than ChunkSize − 256. Default 0.
	Headroom uint32

	// TxRing is the slots of the TX ring, a power of two, at least 2; one slot always stays unused. Default: the
	// smallest power of two ≥ TxChunks.
	TxRing uint32
	// CompletionRing is a power of two and at least TxChunks, so that it can never be full of unharvested chunks, which
	// would stop transmission. Default: the smallest that is.
	CompletionRing uint32
	// FillRing is a power of two and at least RxChunks. Default: the smallest that is; 64 for a socket that only sends.
	FillRing uint32
	// RxRing is a power of two; without RxChunks it must be 0. Default: the smallest power of two ≥ RxChunks.
	RxRing uint32
	// SplitRX gives the RX ring a socket of its own, bound to the same queue and sharing the UMEM, see [Socket.RXFD].
	// In copy mode poll and epoll on a socket that has a TX ring transmit, at a moment that the caller did not choose
	// and without saying what was dropped (net/xdp/xsk.c, xsk_poll); on the split one they only wait.
	SplitRX bool
	// NoRX makes no RX ring although there are RxChunks: they only fill the fill ring. A zero-copy bind replaces the
	// memory of the whole queue by the UMEM. On a socket that only sends the driver would then have none left to
	// receive into, and the host would lose what arrives on that queue. With NoRX the kernel copies frames that no
	// program redirects to the host and uses their chunks again by itself. In copy mode NoRX only costs memory.
	NoRX bool

	// DisableNeedWakeup binds without XDP_USE_NEED_WAKEUP: the driver polls on its own, and every burst is kicked.
	DisableNeedWakeup bool
	// TxBudget is how many frames one Kick may transmit in copy mode, 32 to TxRing (XDP_MAX_TX_SKB_BUDGET, Linux 6.18).
	// Default: 64. On a kernel without the option it is 32 or 16 whatever is asked.
	TxBudget uint32
	// SndBuf is the socket's send buffer in bytes as SO_SNDBUF counts it before doubling. Default: enough for
	// every TX chunk to be in flight. Without CAP_NET_ADMIN the kernel caps it at net.core.wmem_max.
	SndBuf uint32
	// BindTimeout is how long a bind that gets EBUSY is repeated: the kernel frees the queue of a closed socket 10–31
	// ms later. It also limits the wait for the locked memory of a closed socket. That wait is half a second at most,
	// and a second try in copy mode (see Fallback) may always wait so long. Default 2 s; negative: never wait.
	BindTimeout time.Duration
	// Offload says whether the device or the kernel may complete checksums. Default OffloadNone. If it is granted, each
	// frame costs TxMetadataLen more bytes of its chunk, in front of it. A kernel without TX metadata grants
	// OffloadNone.
	Offload Offload
	// MultiBuffer asks for frames that lie in several chunks when sending, as those of an MTU above a chunk do (XDP_USE_SG,
	// Linux 6.6 in zero-copy, where the driver takes them, and 6.12 in copy mode). Granted.FrameChunks is the outcome. A
	// socket that also receives may get frames in several chunks then, too, unless its XDP program redirects none that does not
	// fit one.
	MultiBuffer bool
	// HugePages asks for a UMEM of 2 MiB pages; where there are none it has ordinary ones, and Granted says so.
	HugePages bool
	// Fallback is for a caller that tried zero-copy itself and now opens the socket in ModeCopy: the reason, for
	// Granted.FallbackReason.
	Fallback error
}

// DefaultOptions are the defaults for one queue of an interface, spelled out.
func DefaultOptions(ifname string, queue uint32) Options {
	return Options{Ifname: ifname, Queue: queue}.withDefaults()
}

// withDefaults replaces zero values. What is out of range stays so, for validate to find.
func (o Options) withDefaults() Options {
	def := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.ChunkSize, defaultChunkSize)
	def(&o.TxChunks, defaultTxChunks)
	def(&o.TxRing, ringFor(o.TxChunks))
	def(&o.CompletionRing, ringFor(o.TxChunks))
	if o.RxChunks > 0 {
		if !o.NoRX {
			def(&o.RxRing, ringFor(o.RxChunks))
		}
		def(&o.FillRing, ringFor(o.RxChunks))
	}
	def(&o.FillRing, idleFillRing)
	if o.TxRing >= kernelTxBudget {
		def(&o.TxBudget, min(defaultTxBudget, o.TxRing))
	}
	// The kernel doubles the value and counts an skb at its true size: the frame rounded up to a slab of up to
	// twice its size, and the skb itself.
	wanted := uint64(o.TxChunks) * (uint64(o.ChunkSize) + 512)
	def(&o.SndBuf, uint32(min(wanted, math.MaxInt32/2)))
	if o.BindTimeout == 0 {
		o.BindTimeout = defaultBindTimeout
	}
	return o
}

// ringFor is the smallest power of two ≥ chunks and ≥ 2; validate refuses what is too large.
func ringFor(chunks uint32) uint32 {
	if chunks > maxRingSize {
		return maxRingSize
	}
	return max(2, uint32(1)<<bits.Len32(chunks-1))
}

// umemLen is the bytes of all chunks, in 64 bits (I7).
func (o *Options) umemLen() uint64 {
	return (uint64(o.TxChunks) + uint64(o.RxChunks)) * uint64(o.ChunkSize)
}

// validate reports every problem of options that have their defaults.
func (o *Options) validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	switch {
	case o.Ifname == "" && o.IfIndex == 0:
		bad("interface: give a name or an index")
	case o.IfIndex < 0 || int64(o.IfIndex) > math.MaxInt32:
		bad("interface index %d: want 1 to %d", o.IfIndex, math.MaxInt32)
	}
	if len(o.Ifname) >= unix.IFNAMSIZ {
		bad("interface name %q: want at most %d bytes", o.Ifname, unix.IFNAMSIZ-1)
	}
	if o.Mode > ModeZeroCopy {
		bad("%v: want auto, copy or zero-copy", o.Mode)
	}
	if o.Offload > OffloadKernel {
		bad("%v: want none, driver, partial or kernel", o.Offload)
	}
	if o.ChunkSize != 2048 && o.ChunkSize != 4096 {
		bad("chunk size %d: want 2048 or 4096", o.ChunkSize)
	} else if o.Headroom >= o.ChunkSize-xdpHeadroom {
		bad("headroom %d: want less than %d (chunk size %d less %d)",
			o.Headroom, o.ChunkSize-xdpHeadroom, o.ChunkSize, xdpHeadroom)
	}
	if n := o.umemLen(); n > maxUMEM {
		bad("%d + %d chunks of %d bytes are %d bytes of UMEM: want at most %d",
			o.TxChunks, o.RxChunks, o.ChunkSize, n, uint64(maxUMEM))
	}
	problems = append(problems, o.validateRings()...)
	if o.TxBudget != 0 && (o.TxBudget < kernelTxBudget || o.TxBudget > o.TxRing) {
		bad("TX budget %d: want %d to the size of the TX ring, %d", o.TxBudget, kernelTxBudget, o.TxRing)
	}
	if o.SndBuf > math.MaxInt32/2 {
		bad("send buffer %d: want at most %d bytes", o.SndBuf, math.MaxInt32/2)
	}
	return errors.Join(problems...)
}

func (o *Options) validateRings() (problems []error) {
	check := func(name string, size, least uint32, why string) {
		switch {
		case size < 2 || size > maxRingSize || size&(size-1) != 0:
			problems = append(problems, fmt.Errorf("%s of %d entries: want a power of two from 2 to %d", name,
				size, maxRingSize))
		case size < least:
			problems = append(problems, fmt.Errorf("%s of %d entries: want at least %d, %s", name, size, least, why))
		}
	}
	check("TX ring", o.TxRing, 0, "")
	check("completion ring", o.CompletionRing, o.TxChunks, "one for each TX chunk")
	check("fill ring", o.FillRing, o.RxChunks, "one for each RX chunk")
	switch {
	case o.RxChunks > 0 && !o.NoRX:
		check("RX ring", o.RxRing, 0, "")
	case o.RxRing != 0 || o.SplitRX:
		problems = append(problems, fmt.Errorf("RX ring of %d entries, split %v, without RX chunks or with NoRX: want 0 and false",
			o.RxRing, o.SplitRX))
	}
	return problems
}
