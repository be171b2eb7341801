// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// TestForeignDescriptors: descriptors that name no chunk of the kernel's are counted and believed by nobody, and what
// they name is neither delivered nor given to the kernel again.
//
// I10.
func TestForeignDescriptors(t *testing.T) {
	q, rx, _ := newFakeQueue(t, 16)
	h := new(hoard)
	bind(t, q.intake.Hub, "0.0.0.0:7970", false, h.take)
	u := rx.UMEM()
	place := func(chunk int) xdp.Desc {
		d := xdp.Desc{Addr: u.Addr(chunk) + 256}
		d.Len = uint32(copy(u.Chunk(d.Addr), fakeFrame(t, 7970, numbered(0))))
		return d
	}
	good := place(8)
	rx.post(good)
	eventually(t, "a datagram", func() bool { return h.count() == 1 })
	for _, d := range []xdp.Desc{
		good,     // it is lent
		place(3), // a chunk for sending
		{Addr: 1 << 40, Len: 100},
		{Addr: ^uint64(0), Len: 1},
		{Addr: good.Addr, Len: 4096}, // lent, and beyond its chunk
	} {
		rx.post(d)
	}
	rx.post(xdp.Desc{Addr: u.Addr(9) + 256, Len: 2048}) // the kernel's, but beyond its chunk
	eventually(t, "the ring to be empty", rx.drained)
	eventually(t, "the count", func() bool { return q.Info().Foreign == 6 })
	if r := q.Info(); h.count() != 1 || r.Lent != 1 || r.Free != 15 {
		t.Errorf("%d delivered, %d lent, %d free", h.count(), r.Lent, r.Free)
	}
	h.release()
	if r := q.Info(); r.Lent != 0 || r.Free != 16 {
		t.Errorf("after the release: %d lent, %d free", r.Lent, r.Free)
	}
}

// FuzzReceivedFrame: whatever arrives, it is delivered or counted, and its chunk comes back.
func FuzzReceivedFrame(f *testing.F) {
	f.Add(fakeFrame(f, 7972, []byte("payload")))
	f.Add(fakeFrame(f, 7972, nil)[:40])
	f.Add([]byte{})
	q, rx, _ := newFakeQueue(f, 16)
	bind(f, q.intake.Hub, "[::]:7972", true, func(list *wsk.Datagram) {
		for list != nil {
			next := list.Next
			_ = append([]byte(nil), list.Payload...)
			list.Release()
			list = next
		}
	})
	u := rx.UMEM()
	chunk := 0
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1700 {
			return
		}
		before := q.Info()
		d := xdp.Desc{Addr: u.Addr(8+chunk) + 256, Len: uint32(len(b))}
		chunk = (chunk + 1) % 16
		copy(u.Chunk(d.Addr), b)
		rx.post(d)
		for {
			if r := q.Info(); r.Frames == before.Frames+1 && r.Lent == 0 {
				dropped := r.OtherHost + r.Unowned + r.NotJoined + r.Refused + r.Foreign -
					before.OtherHost - before.Unowned - before.NotJoined - before.Refused - before.Foreign
				for i := range r.Malformed {
					dropped += r.Malformed[i] - before.Malformed[i]
				}
				if r.Delivered-before.Delivered+dropped != 1 || r.Foreign != 0 {
					t.Fatalf("before %+v, after %+v", before, r)
				}
				return
			}
		}
	})
}
