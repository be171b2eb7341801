// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"runtime"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// TestUnreadSockets: sockets that nobody reads from hold no more memory than twice what their buffers may, however small the
// datagrams are that strangers fill them with.
func TestUnreadSockets(t *testing.T) {
	const sockets, buffer, firstPort = 50, 1 << 20, 20_000
	datagrams := 60_000
	if raceEnabled {
		datagrams = 3_000 // enough to fill every buffer; the detector makes the rest slow
	}
	k, err := xdptest.New(xdptest.Config{RxChunks: 512, TxChunks: 8, TxRing: 8})
	if err != nil {
		t.Fatal(err)
	}
	hub := newHub(t, fakeHost)
	in, _ := addIntake(t, hub)
	q := NewQueue(in, 0)
	start(t, q, &sleeper{k, make(chan struct{})})
	r := q.current()
	eventually(t, "the goroutine to sleep", func() bool { return r.chunks().Asleep })
	var all []*wsk.Socket
	var frames [][]byte
	for i := range sockets {
		all = append(all, newSocket(t, hub, uint16(firstPort+i), nil))
		frames = append(frames, fakeFrame(t, uint16(firstPort+i), []byte{1}))
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for range datagrams {
		for i, f := range frames {
			if !k.Receive(f) {
				t.Fatal("no chunk")
			}
			if i%32 == 31 || i == len(frames)-1 {
				r.look()
				r.out.Flush()
				r.refill(false)
			}
		}
	}
	grown := int64(heap()) - int64(before)
	if grown > 2*buffer*sockets {
		t.Errorf("%d unread sockets hold %d bytes, %d each", sockets, grown, grown/sockets)
	}
	for _, s := range all {
		if st := s.ReceiveStatistics(); st.Buffered < 1000 || st.Buffered+int(st.Overflowed) != datagrams {
			t.Errorf("%d buffered, %d dropped", st.Buffered, st.Overflowed)
		}
	}
}

// TestBuffersFull: when the clients of a datapath keep all that they may, nothing is copied for them any more: what would
// need a copy is dropped and counted, and the ring does not run dry.
func TestBuffersFull(t *testing.T) {
	q, nic, _ := newNICQueue(t, 16)
	h := &hoard{tell: true}
	bind(t, q.intake.Hub, "0.0.0.0:7974", false, h.take)
	q.intake.Hub.Buffers.lent.Add(lentLimit)
	for i := range 100 {
		eventually(t, "a chunk for the frame", func() bool { return nic.arrive(fakeFrame(t, 7974, numbered(i))) })
	}
	eventually(t, "the frames", func() bool { return q.Info().Frames == 100 })
	if r := q.Info(); r.Exhausted == 0 || r.Delivered+r.Exhausted != 100 || r.Free == 0 || r.Moved+r.Copied != 0 {
		t.Errorf("%+v", r)
	}
	h.release()
	q.intake.Hub.Buffers.lent.Add(-lentLimit)
	if n := q.intake.Hub.Buffers.lent.Load(); n != 0 {
		t.Errorf("%d bytes are lent when everything has come back", n)
	}
}
