// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// hoard is a receiver that keeps everything.
type hoard struct {
	mu   sync.Mutex
	kept []*wsk.Datagram
	tell bool // says so to the lender
}

func (h *hoard) take(list *wsk.Datagram) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for list != nil {
		next := list.Next
		list.Next = nil
		if h.tell {
			list.Lender.Keep(list)
		}
		h.kept = append(h.kept, list)
		list = next
	}
}

func (h *hoard) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.kept)
}

// check looks at every payload again: each must still be the one that came with its number.
func (h *hoard) check(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, d := range h.kept {
		if len(d.Payload) != 100 || binary.BigEndian.Uint32(d.Payload) != uint32(i) || d.Payload[99] != byte(i) {
			t.Fatalf("datagram %d has changed: %s, number %d", i, describe(d), binary.BigEndian.Uint32(d.Payload))
		}
	}
}

func (h *hoard) release() {
	h.mu.Lock()
	kept := h.kept
	h.kept = nil
	h.mu.Unlock()
	for i := range kept {
		kept[len(kept)-1-i].Release() // any order
	}
}

func numbered(i int) []byte {
	b := make([]byte, 100)
	binary.BigEndian.PutUint32(b, uint32(i))
	b[99] = byte(i)
	return b
}

// sendNumbered sends datagrams first … first+n-1, slowly enough for a small ring.
func sendNumbered(t *testing.T, s *testenv.UDPSender, to netip.AddrPort, first, n int, arrived func() int) {
	t.Helper()
	for i := range n {
		if err := s.Send(to, numbered(first+i)); err != nil {
			t.Fatal(err)
		}
		if (i+1)%16 == 0 || i == n-1 {
			eventually(t, "the datagrams to arrive", func() bool { return arrived() >= first+i+1 })
		}
	}
}

// TestRetainEverything: a client that gives nothing back, whether it says so or not, gets everything all the same, each payload
// stays what it was, and the ring does not run dry.
//
// Checklist item 63.
func TestRetainEverything(t *testing.T) {
	for _, tell := range []bool{false, true} {
		const chunks, n = 256, 1000
		lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Socket: xdp.Options{RxChunks: chunks}})
		p := bind(t, dp, "10.77.0.1:7800")
		h := &hoard{tell: tell}
		p.setHook(h.take)
		sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
		sendNumbered(t, sender, p.addr(), 0, n, h.count)
		h.check(t)
		info := received(t, dp)
		if info.Free < chunks/8 || info.Kernel.RxFillRingEmpty != 0 || info.Delivered != n {
			t.Errorf("tell %v: %d lent, %d free, kernel %+v, %d delivered", tell, info.Lent, info.Free, info.Kernel, info.Delivered)
		}
		if tell && info.Moved == 0 || !tell && info.Copied == 0 {
			t.Errorf("tell %v: %d moved, %d copied: the pressure was never felt", tell, info.Moved, info.Copied)
		}
		h.release()
		if info := received(t, dp); info.Lent != 0 || info.Free != chunks {
			t.Errorf("after the release: %d lent, %d free", info.Lent, info.Free)
		}
	}
}

// TestReleaseFromElsewhere: the goroutine sleeps while others give chunks back; it must find a full fill ring when frames come.
func TestReleaseFromElsewhere(t *testing.T) {
	const chunks = 16
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{Socket: xdp.Options{RxChunks: chunks}})
	p := bind(t, dp, "10.77.0.1:7801")
	lent := make(chan *wsk.Datagram, 1000)
	p.setHook(func(list *wsk.Datagram) {
		for list != nil {
			next := list.Next
			lent <- list
			list = next
		}
	})
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	for i := range 500 {
		if err := sender.Send(p.addr(), numbered(i)); err != nil {
			t.Fatal(err)
		}
		select {
		case d := <-lent:
			if binary.BigEndian.Uint32(d.Payload) != uint32(i) {
				t.Fatalf("%d came instead of %d", binary.BigEndian.Uint32(d.Payload), i)
			}
			d.Release()
		case <-time.After(waitLimit):
			t.Fatalf("datagram %d did not come: %+v", i, received(t, dp))
		}
	}
}

// TestDoubleRelease panics, in both sorts of memory.
func TestDoubleRelease(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{}, Options{})
	p, q := bind(t, dp, "10.77.0.1:7802"), bind(t, dp, "127.0.0.1:7803")
	for _, tc := range []struct {
		p  *port
		ns *testenv.Namespace
	}{{p, lab.B.NS}, {q, lab.A.NS}} {
		h := new(hoard)
		tc.p.setHook(h.take)
		if err := testenv.NewUDPSenderT(t, tc.ns, testenv.UDPSenderOptions{}).Send(tc.p.addr(), numbered(0)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the datagram", func() bool { return h.count() == 1 })
		d := h.kept[0]
		lender := d.Lender
		lender.Release(d)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T: a second release went unnoticed", lender)
				}
			}()
			lender.Release(d)
		}()
	}
}

// TestCloseWhileLent: lent datagrams outlive their endpoint, their socket and the datapath, and can be released after each.
func TestCloseWhileLent(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static})
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	for _, what := range []string{"endpoint", "rebuild", "datapath", "device"} {
		t.Run(what, func(t *testing.T) {
			dp, err := Open(Options{NetNS: lab.A.NS.FD(), Receive: []string{lab.A.If.Name()}, Logger: testLogger(t)})
			if err != nil {
				t.Fatal(err)
			}
			defer dp.Close()
			p := bind(t, dp, "10.77.0.1:7804")
			h := new(hoard)
			p.setHook(h.take)
			sendNumbered(t, sender, p.addr(), 0, 20, h.count)
			q := dp.devices.Known(lab.A.If.Index()).Opened()[0]
			old := onlyHalf(dp).Chunks()
			switch what {
			case "endpoint":
				p.close()
			case "rebuild":
				send.BreakDown(q, "the test wants it", nil)
				eventually(t, "a new socket", func() bool { return dp.Info().Queues[0].State == "up" })
				h.check(t)
				sendNumbered(t, sender, p.addr(), 20, 100, h.count)
				if got := received(t, dp); got.Delivered != 120 {
					t.Errorf("%d came through AF_XDP, before and after the rebuild", got.Delivered)
				}
			case "datapath":
				p.close()
				if err := dp.Close(); err != nil {
					t.Error(err)
				}
			case "device":
				if err := lab.A.If.Delete(); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the end of the endpoint", func() bool {
					p.catcher.mu.Lock()
					defer p.catcher.mu.Unlock()
					return p.catcher.dead
				})
				eventually(t, "the end of the queue", func() bool { return !dp.hub.Serves(uint32(lab.A.If.Index())) })
			}
			h.check(t)
			// Keep moves what still lies in a UMEM that waits to be unmapped.
			for _, d := range h.kept[:10] {
				d.Lender.Keep(d)
			}
			h.check(t)
			h.release()
			if c := old(); c.Lent != 0 || c.Closed == (what == "endpoint") {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestStopInsideCallback: a client's callback may lead to the replacement or the end of the very socket that calls it.
func TestStopInsideCallback(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{Neighbours: testenv.Static}, Options{})
	p := bind(t, dp, "10.77.0.1:7805")
	q := dp.devices.Known(lab.A.If.Index()).Opened()[0]
	p.setHook(func(list *wsk.Datagram) {
		p.setHook(nil)
		send.BreakDown(q, "the callback wants it", nil)
		p.record(list)
	})
	sender := testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{})
	if err := sender.Send(p.addr(), numbered(0)); err != nil {
		t.Fatal(err)
	}
	p.wait(1)
	eventually(t, "the new socket", func() bool { return dp.Info().Queues[0].State == "up" })
	if err := sender.Send(p.addr(), numbered(1)); err != nil {
		t.Fatal(err)
	}
	p.wait(1)
	done := make(chan struct{})
	p.setHook(func(list *wsk.Datagram) {
		p.Close(func() { close(done) }) // from inside: must not wait for itself
		select {
		case <-done:
			t.Error("the close is done while a callback runs")
		case <-time.After(50 * time.Millisecond): // it had its chance
		}
		p.record(list)
	})
	if err := sender.Send(p.addr(), numbered(2)); err != nil {
		t.Fatal(err)
	}
	<-done
	if p.count() != 1 {
		t.Errorf("%d datagrams when the close was done: it did not wait for the callback", p.count())
	}
}
