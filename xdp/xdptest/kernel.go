// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdptest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/internal/hook"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Config describes a fake. The zero value of a field means its default.
type Config struct {
	TxChunks  uint32 // default 64
	RxChunks  uint32 // default 0: no RX ring
	ChunkSize uint32 // default 2048
	Headroom  uint32

	TxRing         uint32 // default: the smallest power of two ≥ TxChunks
	CompletionRing uint32 // likewise
	FillRing       uint32 // default: the smallest power of two ≥ RxChunks, at least 2
	RxRing         uint32 // likewise

	// Start is where all cursors begin; set it just below 2³² to test the wrap-around.
	Start uint32
	// Budget is how many descriptors one Kick consumes before it returns EAGAIN. Default 32, negative: no limit.
	Budget int
	// MaxHeld is how many frames may wait for completion before a Kick returns EAGAIN, like a small send buffer.
	// Default 0: no limit but the completion ring.
	MaxHeld int
	// NeedWakeup is the initial need-wakeup flag of TX and fill ring, and the bind flag. AlwaysAwake turns it off.
	AlwaysAwake bool
	// ZeroCopy makes it a driver with zero-copy: a Kick only wakes it, and frames leave when the test calls Poll. Drop
	// and Stall have no meaning there; without carrier frames wait in the ring.
	ZeroCopy bool

	// LazyConsumer plays Linux 5.10 to 6.16: the TX consumer is published only when everything that the kernel saw at
	// its last look was consumed, so that it lags after a Kick that ends with EAGAIN or EBUSY.
	LazyConsumer bool

	// Offload is what Granted says. With OffloadDriver and OffloadKernel OnSend sees frames with the checksums that
	// were asked for, with OffloadPartial frames as they lie in the UMEM, as the peer of a veth does.
	Offload xdp.Offload

	// FrameChunks is Granted.FrameChunks: where it is more than 1, frames of several chunks are taken. Default 1.
	FrameChunks int

	// OnSend sees each frame that is not dropped, in the order of transmission. The bytes are valid only during the
	// call, which runs inside Kick with the fake locked: it must not call the Kernel. It is nil in benchmarks.
	OnSend func(frame []byte)
}

// Fate is what becomes of one descriptor.
type Fate uint8

// Fates. Unless it says otherwise a descriptor is consumed and its chunk completed.
const (
	Send    Fate = iota // transmitted
	Drop                // dropped by the device: the Kick stops behind it with EBUSY
	Invalid             // invalid: the Kick stops behind it with 0
	Lose                // transmitted, and never completed
	Twice               // transmitted, and completed twice
	Hold                // transmitted; completed when the test says so
	Stall               // stays in the ring; this Kick stops in front of it with EAGAIN
	Wedge               // stays in the ring for ever, with EINVAL and a false completion for each Kick
	Refuse              // stays in the ring for ever, with EINVAL for each Kick
)

// Kernel is the kernel's side of one socket. All methods are safe for concurrent use, with the rules of xdp.Queue for
// the rings.
type Kernel struct {
	tx         *xdp.TxRing
	completion *xdp.CompletionRing
	fill       *xdp.FillRing
	rx         *xdp.RxRing
	umem       *xdp.UMEM
	granted    xdp.Granted

	txWords, cqWords, fqWords, rxWords xdp.Words

	txDescs, rxDescs []xdp.Desc
	cqAddrs, fqAddrs []uint64

	onSend  func([]byte)
	budget  int
	maxHeld int
	zc      bool
	lazy    bool

	mu      sync.Mutex // guards what follows, and the kernel's half of the rings
	script  map[uint64]Fate
	next    uint32 // the TX consumer, which txWords.Consumer may not tell yet
	known   uint32 // the TX producer as last looked at
	asked   int    // see Questions
	seq     uint64 // descriptors consumed so far
	errnos  []syscall.Errno
	held    []uint64
	partial []xdp.Desc // consumed, of a frame whose end has not come
	holding bool
	noUp    bool
	noLink  bool
	removed bool
	woken   int
	closed  bool
	stats   xdp.Statistics

	kicks, saved, wakeRX atomic.Uint64
	byResult             [8]atomic.Uint64
}

var _ xdp.Queue = (*Kernel)(nil)

// New makes a fake with all TX chunks the caller's and all RX chunks in the fill ring, as xdp.Open leaves a socket.
func New(c Config) (*Kernel, error) {
	c = c.withDefaults()
	mem := make([]byte, (uint64(c.TxChunks)+uint64(c.RxChunks))*uint64(c.ChunkSize))
	headroom := c.Headroom
	if c.Offload != xdp.OffloadNone {
		headroom += xdp.TxMetadataLen
	}
	umem, err := xdp.NewUMEM(mem, c.ChunkSize, c.TxChunks, c.RxChunks, headroom)
	if err != nil {
		return nil, fmt.Errorf("fake kernel: %w", err)
	}
	k := &Kernel{
		umem: umem, onSend: c.OnSend, budget: c.Budget, maxHeld: c.MaxHeld, zc: c.ZeroCopy, lazy: c.LazyConsumer,
		next: c.Start, known: c.Start,
		txWords: words(c.Start), cqWords: words(c.Start), fqWords: words(c.Start), rxWords: words(c.Start),
		txDescs: make([]xdp.Desc, c.TxRing), cqAddrs: make([]uint64, c.CompletionRing), fqAddrs: make([]uint64,
			c.FillRing),
		script: map[uint64]Fate{}, held: make([]uint64, 0, c.CompletionRing),
	}
	k.tx = xdp.NewTxRing(k.txWords, k.txDescs)
	k.completion = xdp.NewCompletionRing(k.cqWords, k.cqAddrs)
	k.fill = xdp.NewFillRing(k.fqWords, k.fqAddrs)
	if c.RxChunks > 0 {
		k.rxDescs = make([]xdp.Desc, c.RxRing)
		k.rx = xdp.NewRxRing(k.rxWords, k.rxDescs)
		first, n := k.fill.Reserve(c.RxChunks)
		for i := range n {
			k.fill.Set(first+i, umem.Addr(int(c.TxChunks+i)))
		}
		k.fill.Submit(n)
	}
	k.granted = xdp.Granted{
		Ifname: "fake0", IfIndex: 1, Mode: xdp.ModeCopy, NeedWakeup: true, TxBudget: uint32(max(c.Budget, 0)),
		ChunkSize: c.ChunkSize, TxChunks: c.TxChunks, RxChunks: c.RxChunks, Headroom: c.Headroom,
		TxRing: c.TxRing, CompletionRing: c.CompletionRing, FillRing: c.FillRing, RxRing: c.RxRing,
		TxQueues: nic.QueueCount{N: 1, Exact: true, Source: "fake"}, Offload: c.Offload, FrameChunks: max(c.FrameChunks, 1),
	}
	if c.ZeroCopy {
		k.granted.Mode = xdp.ModeZeroCopy
	}
	k.SetNeedWakeup(!c.AlwaysAwake)
	return k, nil
}

func (c Config) withDefaults() Config {
	def := func(v *uint32, d uint32) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.TxChunks, 64)
	def(&c.ChunkSize, 2048)
	def(&c.TxRing, pow2(c.TxChunks))
	def(&c.CompletionRing, pow2(c.TxChunks))
	def(&c.FillRing, pow2(c.RxChunks))
	if c.RxChunks > 0 {
		def(&c.RxRing, pow2(c.RxChunks))
	}
	if c.Budget == 0 {
		c.Budget = 32
	}
	return c
}

func pow2(n uint32) uint32 {
	p := uint32(2)
	for p < n {
		p *= 2
	}
	return p
}

func words(start uint32) xdp.Words {
	w := xdp.Words{Producer: new(atomic.Uint32), Consumer: new(atomic.Uint32), Flags: new(atomic.Uint32)}
	w.Producer.Store(start)
	w.Consumer.Store(start)
	return w
}

// TX is the ring of frames to send.
func (k *Kernel) TX() *xdp.TxRing { return k.tx }

// Completion is the ring of chunks that came back.
func (k *Kernel) Completion() *xdp.CompletionRing { return k.completion }

// Fill is the ring of chunks to receive into.
func (k *Kernel) Fill() *xdp.FillRing { return k.fill }

// RX is the ring of received frames, nil without RX chunks.
func (k *Kernel) RX() *xdp.RxRing { return k.rx }

// UMEM is the memory of all chunks.
func (k *Kernel) UMEM() *xdp.UMEM { return k.umem }

// Granted is what the Config asked for.
func (k *Kernel) Granted() xdp.Granted { return k.granted }

// Statistics counts invalid descriptors and frames without a place to go.
func (k *Kernel) Statistics() (xdp.Statistics, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return xdp.Statistics{}, xdp.ErrClosed
	}
	k.asked++
	s := k.stats
	s.Version = 2
	return s, nil
}

// Questions is how often Statistics was asked.
func (k *Kernel) Questions() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

// Counters are the wake-ups so far.
func (k *Kernel) Counters() xdp.Counters {
	c := xdp.Counters{Kicks: k.kicks.Load(), KicksSaved: k.saved.Load(), RxWakeups: k.wakeRX.Load()}
	for i := range c.ByResult {
		c.ByResult[i] = k.byResult[i].Load()
	}
	return c
}

// Close makes every later Kick fail with EBADF, and the rings and the UMEM what they are after Close of a real socket:
// a datapath that goes on using them panics, or is caught by the race detector.
func (k *Kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.closed = true
		hook.KillRings(k)
	}
	return nil
}

// Closed reports whether Close was called.
func (k *Kernel) Closed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// WakeRX does nothing: Receive looks at the fill ring each time.
func (k *Kernel) WakeRX() syscall.Errno {
	k.wakeRX.Add(1)
	if k.Closed() {
		return unix.EBADF
	}
	return 0
}
