// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/device"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// idealKernel is the other side of a socket over plain memory at the least cost possible: a kick moves every address from
// the TX ring to the completion ring. What a benchmark over it shows is this side's cost.
type idealKernel struct {
	tx   *xdp.TxRing
	cq   *xdp.CompletionRing
	umem *xdp.UMEM

	txWords, cqWords xdp.Words
	descs            []xdp.Desc
	addrs            []uint64
}

func newIdealKernel(chunks uint32) (*idealKernel, error) {
	umem, err := xdp.NewUMEM(make([]byte, chunks*2048), 2048, chunks, 0, 0)
	words := func() xdp.Words {
		w := make([]atomic.Uint32, 3*16) // on cache lines of their own, as the kernel has them
		return xdp.Words{Producer: &w[0], Consumer: &w[16], Flags: &w[32]}
	}
	k := &idealKernel{umem: umem, txWords: words(), cqWords: words(),
		descs: make([]xdp.Desc, 2*chunks), addrs: make([]uint64, 2*chunks)}
	k.tx, k.cq = xdp.NewTxRing(k.txWords, k.descs), xdp.NewCompletionRing(k.cqWords, k.addrs)
	return k, err
}

func openIdeal(*device.Device, int) (xdp.Queue, error) { return newIdealKernel(512) }

func (k *idealKernel) Kick() syscall.Errno {
	mask := uint32(len(k.descs) - 1)
	from, to, at := k.txWords.Consumer.Load(), k.txWords.Producer.Load(), k.cqWords.Producer.Load()
	for ; from != to; from++ {
		k.addrs[at&mask] = k.descs[from&mask].Addr
		at++
	}
	k.cqWords.Producer.Store(at)
	k.txWords.Consumer.Store(to)
	return 0
}

func (k *idealKernel) TX() *xdp.TxRing                     { return k.tx }
func (k *idealKernel) Completion() *xdp.CompletionRing     { return k.cq }
func (k *idealKernel) Fill() *xdp.FillRing                 { return nil }
func (k *idealKernel) RX() *xdp.RxRing                     { return nil }
func (k *idealKernel) UMEM() *xdp.UMEM                     { return k.umem }
func (k *idealKernel) KickIfNeeded() (syscall.Errno, bool) { return k.Kick(), true }
func (k *idealKernel) WakeRX() syscall.Errno               { return 0 }
func (k *idealKernel) Granted() xdp.Granted                { return xdp.Granted{Mode: xdp.ModeCopy} }
func (k *idealKernel) Statistics() (xdp.Statistics, error) { return xdp.Statistics{}, nil }
func (k *idealKernel) Counters() xdp.Counters              { return xdp.Counters{} }
func (k *idealKernel) Close() error                        { return nil }

// BenchmarkSendToLoaded is the user-space cost of one datagram on a loaded queue, from SendTo to the completion routine:
// single sends of one goroutine, which kicks, harvests and completes once for each burst of them.
func BenchmarkSendToLoaded(b *testing.B) {
	for _, size := range []int{18, 1472} {
		b.Run("size="+strconv.Itoa(size), func(b *testing.B) {
			s, q := loadedQueue(b)
			buf, to := whole(pattern(size)), wsk.NewSockaddr(netip.MustParseAddrPort(fakeTo))
			// A client that keeps no books: routines run on this goroutine, and an IRP is used again after two bursts, when it
			// is back. Reuse would panic if it were not.
			irps := make([]wsk.IRP, 2*send.Burst)
			sent, back := 0, 0
			routine := func(_ *wsk.IRP, context any) wsk.NTSTATUS {
				*context.(*int)++
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				irp := &irps[sent%len(irps)]
				sent++
				irp.Reuse(wsk.STATUS_SUCCESS)
				irp.SetCompletionRoutine(routine, &back, true, true, true)
				s.SendTo(buf, 0, to, nil, irp)
			}
			send.Kick(q)
			if back != sent {
				b.Errorf("%d sent, %d back", sent, back)
			}
		})
	}
}

// loadedQueue is a socket and its only queue, in the high gear for good, with nobody but the benchmark to kick.
func loadedQueue(b *testing.B) (*wsk.Socket, *send.Queue) {
	b.Helper()
	s := benchSocketOver(b, 1, 1, openIdeal)
	var q *send.Queue
	s.dp.devices.EachQueue(func(only *send.Queue) { q = only })
	testenv.Eventually(b, waitLimit, "the poller to sleep", func() bool { return send.Asleep(q) })
	send.PinGear(q, true)
	b.Cleanup(func() { send.PinGear(q, false) })
	return s.sockets[0], q
}
