// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/xdptest"
)

// chopper posts frames in pieces, one after the other into the chunks of a ring that nobody has.
type chopper struct {
	*fakeRX
	q    *Queue
	next int
}

// pieceRoom is what a chunk of 2048 bytes holds of a frame.
const pieceRoom = 2048 - 256

// piece posts the next piece of a frame.
func (c *chopper) piece(b []byte, more bool) {
	u, slots := c.UMEM(), c.q.current().slots
	for c.waiting() >= len(slots)/2 { // nobody has looked at what is in these chunks
		runtime.Gosched()
	}
	for slots[c.next%len(slots)].lent.Load() {
		c.next++
	}
	d := xdp.Desc{Addr: u.Addr(u.TxChunks()+c.next%len(slots)) + 256, Len: uint32(len(b))}
	c.next++
	copy(u.Chunk(d.Addr), b)
	if more {
		d.Options = xdp.DescContinued
	}
	c.post(d)
}

// waiting is how many descriptors nobody has looked at.
func (c *chopper) waiting() int { return int(c.words.Producer.Load() - c.words.Consumer.Load()) }

// frame posts a frame in pieces that fill their chunks.
func (c *chopper) frame(b []byte) {
	for len(b) > pieceRoom {
		c.piece(b[:pieceRoom], true)
		b = b[pieceRoom:]
	}
	c.piece(b, false)
}

// long is a payload of so many bytes that tells its number, no two pieces of which are the same.
func long(number, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>8 ^ i ^ number)
	}
	binary.BigEndian.PutUint32(b, uint32(number))
	return b
}

// TestFrameInSeveralChunks: a frame in several chunks is one datagram, whose chunks have gone back to the kernel when it arrives, also
// where its pieces come one by one. What is wrong with it is counted once, and the next frame is whole again.
//
// I1, I10.
func TestFrameInSeveralChunks(t *testing.T) {
	q, rx, _ := newFakeQueue(t, 64)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7980", false, h.take)
	c := &chopper{fakeRX: rx, q: q}
	number := 0
	good := func(n int) {
		t.Helper()
		number++
		had := h.count()
		c.frame(fakeFrame(t, 7980, long(number, n)))
		eventually(t, "the datagram", func() bool { return h.count() == had+1 })
		if got := h.kept[had]; !bytes.Equal(got.Payload, long(number, n)) || cap(got.Payload) != n {
			t.Fatalf("%d bytes arrived as %d that differ", n, len(got.Payload))
		}
	}
	for _, n := range []int{8000, 8972, 1751, 100, 9174, 9175, 20_000, 40_000, 1750} {
		good(n)
	}
	if r := q.Info(); r.Several != 7 || r.Frames != 9 || r.Delivered != 9 || r.Lent != 2 {
		t.Errorf("%d frames, %d of them in several chunks, %d delivered, %d chunks lent", r.Frames, r.Several, r.Delivered, r.Lent)
	}
	h.release()
	one := fakeFrame(t, 7980, long(0, 4000))
	c.piece(one[:pieceRoom], true)
	eventually(t, "the ring to be empty", rx.drained)
	c.piece(nil, true)
	c.piece(one[pieceRoom:2*pieceRoom], true)
	eventually(t, "the ring to be empty", rx.drained)
	if r := q.Info(); r.Lent != 0 || r.Frames != 9 {
		t.Errorf("half a frame: %d chunks lent, %d frames", r.Lent, r.Frames)
	}
	c.piece(one[2*pieceRoom:], false)
	eventually(t, "the datagram", func() bool { return h.count() == 1 })
	if !bytes.Equal(h.kept[0].Payload, long(0, 4000)) {
		t.Error("a frame that came piece by piece has changed")
	}

	bad := func(what string, count func(*Info) uint64, post func()) {
		t.Helper()
		before := q.Info()
		was := count(before)
		post()
		eventually(t, what, func() bool { return count(q.Info()) == was+1 })
		if r := q.Info(); r.Frames != before.Frames+1 || r.Lent != 0 || r.Delivered != before.Delivered {
			t.Errorf("%s: before %+v, after %+v", what, before, r)
		}
		good(5000)
		good(10)
		h.release()
	}
	h.release()
	foreign := func(r *Info) uint64 { return r.Foreign }
	malformed := func(reason frame.Reason) func(*Info) uint64 {
		return func(r *Info) uint64 { return r.Malformed[reason] }
	}
	broken := bytes.Clone(one)
	broken[3000] ^= 1
	bad("a wrong checksum", malformed(frame.ReasonUDPChecksum), func() { c.frame(broken) })
	bad("a missing end", malformed(frame.ReasonIPv4TotalLength), func() { c.frame(one[:3000]) })
	bad("no IP", malformed(frame.ReasonNotIP), func() { c.frame(make([]byte, 3000)) })
	bad("nobody's", func(r *Info) uint64 { return r.Unowned }, func() { c.frame(fakeFrame(t, 7981, long(0, 4000))) })
	bad("a foreign chunk within", foreign, func() {
		c.piece(one[:pieceRoom], true)
		rx.post(xdp.Desc{Addr: 1 << 40, Len: 100, Options: xdp.DescContinued})
		c.piece(one[pieceRoom:], false)
	})
	bad("a foreign end", foreign, func() { c.piece(one[:pieceRoom], true); rx.post(xdp.Desc{Addr: 0, Len: 100}) })
	bad("more than any frame", foreign, func() { c.frame(make([]byte, LongestFrame+1)) })
	unsummed := bytes.Clone(one)
	unsummed[40], unsummed[41] = 0, 0
	bad("two spliced frames", foreign, func() { c.piece(unsummed[:pieceRoom], true); c.frame(unsummed) })
	c.frame(unsummed)
	eventually(t, "a datagram without a checksum", func() bool { return h.count() == 1 })
	h.release()
	if q.intake.Hub.Buffers.lent.Load() != 0 {
		t.Error("buffers are missing")
	}
}

// TestJumboBuffers: the frames of the largest MTU in use, 9216, keep no more memory than they need: it counts in the socket's buffer.
func TestJumboBuffers(t *testing.T) {
	q, rx, _ := newFakeQueue(t, 64)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7980", false, h.take)
	c := &chopper{fakeRX: rx, q: q}
	for i, n := range []int{2000, 8972, 9216 - 28} {
		c.frame(fakeFrame(t, 7980, long(i, n)))
		eventually(t, "the datagram", func() bool { return h.count() == i+1 })
		if m := h.kept[i].Memory; m > 9472 {
			t.Errorf("a datagram of %d bytes keeps %d", n, m)
		}
	}
	h.release()
}

// TestLongFramesWhenFull: where clients keep all that they may, long frames are dropped and counted, and short ones arrive.
func TestLongFramesWhenFull(t *testing.T) {
	q, rx, _ := newFakeQueue(t, 64)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7980", false, h.take)
	c := &chopper{fakeRX: rx, q: q}
	q.intake.Hub.Buffers.lent.Add(lentLimit)
	c.frame(fakeFrame(t, 7980, long(1, 8000)))
	c.frame(fakeFrame(t, 7980, long(2, 100)))
	eventually(t, "the short one", func() bool { return h.count() == 1 })
	q.intake.Hub.Buffers.lent.Add(-lentLimit)
	c.frame(fakeFrame(t, 7980, long(3, 8000)))
	eventually(t, "a long one", func() bool { return h.count() == 2 })
	h.release()
	if r := q.Info(); r.Exhausted != 1 || r.Frames != 3 || r.Lent != 0 {
		t.Errorf("%+v", r)
	}
}

// TestLongFramesAbandoned: what is left in the ring of a socket that is closed is counted by the frame.
func TestLongFramesAbandoned(t *testing.T) {
	q, rx, _ := newFakeQueue(t, 64)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7980", false, h.take)
	c := &chopper{fakeRX: rx, q: q}
	one := fakeFrame(t, 7980, long(1, 8000))
	c.piece(one[:pieceRoom], true)
	eventually(t, "the ring to be empty", rx.drained)
	c.piece(one[pieceRoom:2*pieceRoom], true)
	eventually(t, "the ring to be empty", rx.drained)
	inside, leave := h.blockNext()
	c.piece(one[2*pieceRoom:4*pieceRoom-200], false)
	c.frame(fakeFrame(t, 7980, long(2, 100)))
	<-inside
	c.frame(one)
	c.frame(fakeFrame(t, 7980, long(3, 100)))
	c.frame(one)
	if err := q.Close(rx); err != nil {
		t.Error(err)
	}
	close(leave)
	if r := q.Info(); r.Abandoned != 3 || q.intake.Hub.Abandoned() != 3 {
		t.Errorf("%d abandoned", r.Abandoned)
	}
}

// TestSocketWithFewChunks: a socket that would drop what the program gives it is not entered into that.
func TestSocketWithFewChunks(t *testing.T) {
	for _, tc := range []struct {
		program, granted int
		ok               bool
	}{{0, 1, true}, {1, 1, true}, {3, 18, true}, {3, 3, true}, {3, 2, false}, {2, 1, false}} {
		in, _ := addIntake(t, newHub(t, fakeHost))
		in.FrameChunks = tc.program
		q := NewQueue(in, 0)
		rx := newFakeRX(t, xdptest.Config{RxChunks: 16, TxChunks: 8, TxRing: 8, FrameChunks: tc.granted})
		err := q.Start(rx)
		if (err == nil) != tc.ok || err != nil && !errors.Is(err, errFewChunks) {
			t.Errorf("%d chunks to a frame where the program counts on %d: %v", tc.granted, tc.program, err)
		}
		q.Close(rx)
	}
}

// FuzzAssembly: however frames are cut, whatever is missing of them or foreign among them, what arrives is what was sent, in order, and
// no chunk is missing afterwards.
func FuzzAssembly(f *testing.F) {
	f.Add([]byte{10, 0, 200, 1, 3, 2, 255, 3, 90, 0})
	f.Add([]byte{255, 1, 255, 1, 255, 0})
	q, rx, _ := newFakeQueue(f, 64)
	var mu sync.Mutex // guards the next three
	next := 0         // the least number that may arrive
	sent := make(map[int]int)
	var wrong error
	bind(f, q.intake.Hub, "0.0.0.0:7980", false, func(list *wsk.Datagram) {
		mu.Lock()
		for d := list; d != nil; d = d.Next {
			n := int(binary.BigEndian.Uint32(d.Payload))
			if size, ok := sent[n]; n < next || !ok || !bytes.Equal(d.Payload, long(n, size)) {
				wrong = errors.New("what arrived is not what was sent")
			}
			next = n + 1
		}
		mu.Unlock()
		releaseAll(list)
	})
	c := &chopper{fakeRX: rx, q: q}
	number := 0
	f.Fuzz(func(t *testing.T, script []byte) {
		for len(script) >= 2 && number < 1<<30 {
			number++
			size := 4 + int(script[0])*40
			mu.Lock()
			sent[number] = size
			mu.Unlock()
			b := fakeFrame(t, 7980, long(number, size))
			for len(b) > 0 {
				n := min(len(b), pieceRoom, 1+int(script[0])*8)
				op := script[1]
				switch op & 7 {
				case 1: // a piece is lost
				case 2:
					rx.post(xdp.Desc{Addr: uint64(op) << 5, Len: uint32(op), Options: uint32(op>>3) & xdp.DescContinued})
					fallthrough
				default:
					c.piece(b[:n], n < len(b) && op&7 != 3)
				}
				b = b[n:]
				if len(script) > 2 {
					script = script[1:]
				}
			}
			script = script[min(2, len(script)):]
		}
		c.piece(nil, false) // the end of whatever has begun
		eventually(t, "the chunks", func() bool { return rx.drained() && q.Info().Lent == 0 && q.intake.Hub.Buffers.lent.Load() == 0 })
		mu.Lock()
		defer mu.Unlock()
		if wrong != nil {
			t.Fatal(wrong)
		}
		clear(sent)
	})
}
