// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestStorm lets 8 goroutines send 6,000 datagrams each, in make soak 96,000, over a few sockets and two queues while IRPs are
// cancelled at random and one socket is closed in the middle. Every IRP must complete exactly once and every chunk be accounted for (audit).
//
// Checklist items 13, 70, 74.
func TestStorm(t *testing.T) { storm(t, 1500, flooded(t, 6_000), 1472, 4000) }

// TestStormJumbo is TestStorm with frames of several chunks, so that the 32 of a queue are soon in use.
func TestStormJumbo(t *testing.T) {
	requireMultiBuffer(t)
	storm(t, 9000, flooded(t, 1_000), 8000, 30_000)
}

// storm is one on a link with an MTU, each goroutine sending so many datagrams of 18 and 300 bytes and of two other sizes.
func storm(t *testing.T, mtu, each, large, larger int) {
	const senders, window = 8, 64
	lab, c := newLab(t, testenv.Topology{Neighbours: testenv.Static, MTU: mtu, A: testenv.End{TX: 2}},
		Options{Queues: 2, Socket: xdp.Options{ChunkSize: 2048, TxChunks: 32, TxRing: 64}})
	sockets := []*wsk.Socket{c.socket("10.77.0.1:0"), c.socket("0.0.0.0:0"), c.socket("[::]:0"), c.socket("10.77.0.1:0")}
	closing := sockets[3]
	to := []wsk.SOCKADDR{sockaddr(lab.B.IPv4(), 9), sockaddr(lab.B.IPv4(), 10), sockaddr(lab.B.IPv6(), 9), sockaddr(lab.B.IPv4(), 9)}

	var outcomes [4]atomic.Int64 // success, cancelled, closed, other
	var sent atomic.Int64
	var all sync.WaitGroup
	for g := range senders {
		all.Add(1)
		go func() {
			defer all.Done()
			r := rand.New(rand.NewPCG(uint64(g), 77))
			s, dst := sockets[g%len(sockets)], to[g%len(to)]
			free := make(chan *wsk.IRP, window)
			for range window {
				free <- wsk.AllocateIRP()
			}
			var completed atomic.Int64
			routine := func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
				completed.Add(1)
				switch st := irp.IoStatus; {
				case st.Status == wsk.STATUS_SUCCESS && st.Information > 0:
					outcomes[0].Add(1)
				case st.Status == wsk.STATUS_CANCELLED && st.Information == 0:
					outcomes[1].Add(1)
				case st.Status == wsk.STATUS_FILE_CLOSED && s == closing:
					outcomes[2].Add(1)
				default:
					outcomes[3].Add(1)
					t.Errorf("IRP ended with %v, Information %d", st.Status, st.Information)
				}
				free <- irp
				return wsk.STATUS_MORE_PROCESSING_REQUIRED
			}
			bufs := []*wsk.Buf{whole(pattern(18)), mdl(pattern(300), 7, 150), whole(pattern(large)), mdl(pattern(larger), 1, 1999)}
			var recent [16]*wsk.IRP
			for i := range each {
				irp := <-free
				irp.Reuse(wsk.STATUS_SUCCESS)
				irp.SetCompletionRoutine(routine, nil, true, true, true)
				buf := bufs[0]
				if r.IntN(8) == 0 {
					buf = bufs[r.IntN(len(bufs))]
				}
				s.SendTo(buf, 0, dst, nil, irp)
				sent.Add(1)
				recent[i%len(recent)] = irp
				if r.IntN(16) == 0 {
					recent[r.IntN(min(i+1, len(recent)))].Cancel()
				}
				if g == 3 && i == each/2 {
					irp := wsk.AllocateIRP()
					closing.Close(irp)
					if status := await(t, irp); status != wsk.STATUS_SUCCESS {
						t.Errorf("close in the middle: %v", status)
					}
				}
			}
			for range window {
				<-free
			}
			if completed.Load() != int64(each) {
				t.Errorf("sender %d: %d completions for %d sends", g, completed.Load(), each)
			}
		}()
	}
	all.Wait()
	total := outcomes[0].Load() + outcomes[1].Load() + outcomes[2].Load() + outcomes[3].Load()
	if total != sent.Load() || sent.Load() != int64(senders*each) {
		t.Errorf("%d sends, %d completions", sent.Load(), total)
	}
	var foreign uint64
	for _, q := range c.dp.Info().Queues {
		foreign += q.Foreign + q.Unpinned
	}
	if foreign != 0 {
		t.Errorf("%d completions or drops that could not be placed", foreign)
	}
	t.Logf("%d succeeded, %d cancelled, %d refused after the close", outcomes[0].Load(), outcomes[1].Load(), outcomes[2].Load())
}
