// SPDX-License-Identifier: Apache-2.0

package packetring

import (
	"errors"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// sameFrame is a source of one frame, whose last bytes count.
type sameFrame struct {
	frame []byte
	n     int
}

func (s *sameFrame) Put(slot []byte, _ time.Time) (length, payload int) {
	s.n++
	n := copy(slot, s.frame)
	slot[n-2], slot[n-1] = byte(s.n>>8), byte(s.n)
	return n, n - 14
}

// openRing is a ring at one end of a laboratory, and a capture at the other.
func openRing(t *testing.T, longest int) (*testenv.Lab, *Ring, *testenv.Capture) {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	l := testenv.NewLabT(t, testenv.Topology{NoIPv6: true, Neighbours: testenv.Static})
	var r *Ring
	if err := l.A.NS.Do(func() (err error) {
		r, err = Open(l.A.If.Index(), longest)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, r, testenv.NewCaptureT(t, l.B.If, testenv.CaptureOptions{IncomingOnly: true})
}

// experimental is a frame of a protocol that nobody has, of so many bytes.
func experimental(l *testenv.Lab, n int) []byte {
	f := make([]byte, n)
	copy(f, l.B.If.MAC())
	copy(f[6:], l.A.If.MAC())
	f[12], f[13] = 0x88, 0xb5
	return f
}

// Every frame is counted once, past the end of the ring several times over, and another source goes on where one has ended.
func TestRing(t *testing.T) {
	l, r, capture := openRing(t, 1514)
	source := &sameFrame{frame: experimental(l, 100)}
	want := 0
	for range 3 { // 900 slots each: the second begins in the middle of the ring and goes over its end
		lane := NewLane(r, source)
		var sum, bytes uint64
		for sent := uint64(0); sent < 900; {
			out, err := lane.Send(min(64, 900-sent), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			sent, sum, bytes = sent+out.Submitted, sum+out.Completed, bytes+out.Payload
		}
		testenv.Eventually(t, time.Minute, "the kernel to be done", func() bool {
			out, err := lane.Send(0, time.Now())
			if err != nil || out.Submitted != 0 {
				t.Fatal(out, err)
			}
			sum, bytes = sum+out.Completed, bytes+out.Payload
			return lane.InFlight() == 0
		})
		if sum != 900 || bytes != 900*86 {
			t.Errorf("%d frames of 900 completed, %d bytes", sum, bytes)
		}
		want += 900
		next := want - 900 + 1
		got, err := capture.WaitN(testenv.Context(t, time.Minute), want, func(f testenv.Frame) bool { return len(f.Data) == 100 && f.Data[12] == 0x88 })
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got[len(got)-900:] {
			if n := int(f.Data[98])<<8 | int(f.Data[99]); n != next {
				t.Fatalf("frame %d came in place of %d", n, next)
			}
			next++
		}
	}
}

// What the kernel will not send is an error that says so, and what no ring can hold is told before there is one.
func TestRingRefuses(t *testing.T) {
	l, r, _ := openRing(t, 4000)
	lane := NewLane(r, &sameFrame{frame: experimental(l, 3000)}) // above the MTU
	_, err := lane.Send(1, time.Now())
	for again := 0; err == nil && lane.InFlight() > 0 && again < 1000; again++ {
		_, err = lane.Send(0, time.Now())
	}
	if err == nil {
		t.Error("a frame above the MTU has left")
	}
	if err := l.A.NS.Do(func() error {
		_, err := Open(l.A.If.Index(), mostSlot)
		return err
	}); !errors.Is(err, ErrTooLong) {
		t.Error(err)
	}
	if err := l.A.NS.Do(func() error {
		_, err := Open(1<<30, 100)
		return err
	}); err == nil {
		t.Error("a ring on an interface that is not there")
	}
}
