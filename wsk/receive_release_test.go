// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// three is a socket that keeps everything, and the list of three that it has got.
func three(h *host) (*wsk.Socket, []*wsk.DatagramIndication) {
	h.t.Helper()
	var nodes []*wsk.DatagramIndication
	s := h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		for n := list; n != nil; n = n.Next {
			nodes = append(nodes, n)
		}
		return wsk.STATUS_PENDING
	})
	want(h.t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
	h.transport.Arrive(from(peer, "1"), from(peer, "2"), from(peer, "3"))
	if len(nodes) != 3 || s.ReceiveStatistics().Retained != 3 {
		h.t.Fatalf("%d nodes, %+v", len(nodes), s.ReceiveStatistics())
	}
	return s, nodes
}

// Checklist item 62: the ways in which clients give back what they have kept, each after the callback has returned.
func TestRelease(t *testing.T) {
	const ok, invalid = wsk.STATUS_SUCCESS, wsk.STATUS_INVALID_PARAMETER
	for name, f := range map[string]func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication){
		"whole-list": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			want(t, "list", s.Release(n[0]), ok)
		},
		"single-nodes-in-any-order": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			for _, i := range []int{1, 0, 2} {
				n[i].Next = nil
				want(t, "node", s.Release(n[i]), ok)
			}
		},
		"another-chain": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			n[2].Next, n[0].Next, n[1].Next = n[0], nil, nil
			want(t, "3 and 1", s.Release(n[2]), ok)
			want(t, "2", s.Release(n[1]), ok)
		},
		"everything-overwritten": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			for _, node := range n {
				node.Next, node.Buffer, node.ControlInfo, node.RemoteAddress = nil, wsk.Buf{}, nil, nil
				want(t, "node", s.Release(node), ok)
			}
		},
		"twice": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			want(t, "list", s.Release(n[0]), ok)
			want(t, "list again", s.Release(n[0]), invalid)
			for _, node := range n {
				want(t, "node again", s.Release(node), invalid)
			}
		},
		"twice-in-one-list": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			for _, turn := range n { // a list that turns back on itself
				n[2].Next = turn
				want(t, "list", s.Release(n[0]), invalid)
				want(t, "list", s.Release(n[2]), invalid)
			}
			n[2].Next = nil
			if h.transport.Counts().Lent != 3 {
				t.Error("a refused list was released in part")
			}
			want(t, "list", s.Release(n[0]), ok)
		},
		"foreign": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			alien := &wsk.DatagramIndication{}
			n[1].Next = alien
			want(t, "list with a foreign node", s.Release(n[0]), invalid)
			n[1].Next = n[2]
			clone := *n[0]
			want(t, "copy of a node", s.Release(&clone), invalid)
			want(t, "other socket", h.bound("0.0.0.0:1001").Release(n[0]), invalid)
			want(t, "nil", s.Release(nil), invalid)
			want(t, "list", s.Release(n[0]), ok)
		},
		"after-close": func(t *testing.T, h *host, s *wsk.Socket, n []*wsk.DatagramIndication) {
			// Checklist item 72: the close does not wait for kept indications and does not take them away, and
			// statistics show that there are some.
			want(t, "Close", h.close(s), ok)
			if got := fmt.Sprint(texts(n[0])); got != "[1 2 3]" || s.ReceiveStatistics().Retained != 3 {
				t.Errorf("%s after the close, %+v", got, s.ReceiveStatistics())
			}
			wsk.ReleaseProviderNPI(&h.reg)
			wsk.Deregister(&h.reg)
			want(t, "list", s.Release(n[0]), ok)
			want(t, "list again", s.Release(n[0]), invalid)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			s, nodes := three(h)
			f(t, h, s, nodes)
			if st := s.ReceiveStatistics(); st.Retained != 0 || st.Delivered != 3 {
				t.Errorf("%+v", st)
			}
			h.nothingLent()
		})
	}
}

// Checklist item 62, wireguard-nt's way: single nodes are cut out of the list and released inside the callback, which
// answers STATUS_PENDING for the rest, or for none; and a second release of what was given back inside.
func TestReleaseInsideCallback(t *testing.T) {
	for keep := range 4 { // bit 0: keep the first, bit 1: keep the third
		for _, answer := range []wsk.NTSTATUS{wsk.STATUS_PENDING, wsk.STATUS_SUCCESS, wsk.STATUS_DATA_NOT_ACCEPTED} {
			h := newHost(t)
			var s *wsk.Socket
			var kept []*wsk.DatagramIndication
			s = h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
				for i := 0; list != nil; i++ {
					node := list
					list = node.Next
					node.Next = node // something of the client's own
					if i == 0 && keep&1 != 0 || i == 2 && keep&2 != 0 {
						kept = append(kept, node)
						continue
					}
					node.Next = nil
					want(t, "Release", s.Release(node), wsk.STATUS_SUCCESS)
					want(t, "Release again", s.Release(node), wsk.STATUS_INVALID_PARAMETER)
				}
				return answer
			})
			want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
			h.transport.Arrive(from(peer, "1"), from(peer, "2"), from(peer, "3"))
			st := s.ReceiveStatistics()
			switch answer {
			case wsk.STATUS_PENDING:
				if st.Retained != len(kept) || h.transport.Counts().Lent != len(kept) {
					t.Errorf("%d kept, %+v", len(kept), st)
				}
				for _, node := range kept {
					node.Next = nil
					want(t, "Release", s.Release(node), wsk.STATUS_SUCCESS)
				}
			case wsk.STATUS_DATA_NOT_ACCEPTED: // what was released is not touched, the rest comes again
				if st.Buffered != len(kept) {
					t.Errorf("%d kept, %+v", len(kept), st)
				}
				for range kept {
					h.receive(s, 8).payload()
				}
			}
			h.nothingLent()
		}
	}
}

// If the client keeps indications, the lender is asked to move the payloads before the client sees them,
// and never afterwards.
func TestReleaseKeep(t *testing.T) {
	h := newHost(t)
	h.transport.MoveKept(true)
	s, nodes := three(h)
	if n := h.transport.Counts().Kept; n != 0 {
		t.Errorf("%d kept at first", n)
	}
	h.arrive("4")
	if n := h.transport.Counts().Kept; n != 1 {
		t.Errorf("%d kept of a client that retains", n)
	}
	if got := fmt.Sprint(texts(nodes[0])); got != "[1 2 3]" {
		t.Errorf("retained %s", got)
	}
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
}

// Released nodes are used again, but not at once, and meanwhile a second release is noticed.
func TestReleaseReuse(t *testing.T) {
	h := newHost(t)
	seen := map[*wsk.DatagramIndication]int{}
	var last *wsk.DatagramIndication
	s := h.eventSocket("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		seen[list]++
		if list == last {
			t.Fatal("lent again at once")
		}
		last = list
		return wsk.STATUS_PENDING
	})
	want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
	for range 1000 {
		h.arrive("x")
		want(t, "Release", s.Release(last), wsk.STATUS_SUCCESS)
		want(t, "Release again", s.Release(last), wsk.STATUS_INVALID_PARAMETER)
	}
	if len(seen) > 100 {
		t.Errorf("%d nodes for one at a time", len(seen))
	}
	h.nothingLent()
}

// Checklist item 38: when the socket dies its receives end, and the callback learns of it once, after its
// last call.
func TestDeadSocketReceiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		goOn, running := make(chan struct{}), make(chan struct{})
		var ends int
		inside := false
		s := h.eventSocket("0.0.0.0:1000", func(flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			if list == nil {
				if ends++; inside || flags != 0 {
					t.Errorf("flags %#x, inside %v", flags, inside)
				}
				return wsk.STATUS_PENDING // has no meaning here
			}
			inside = true
			close(running)
			<-goOn
			inside = false
			return wsk.STATUS_SUCCESS
		})
		off := h.bound("0.0.0.0:1001")
		buffered := wsktest.Arrival{From: from(peer, "").From, To: plainAddr}
		h.transport.Arrive(buffered)
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		a, b := h.receive(s, 8), h.receive(s, 8)
		h.arrive("x")
		a.payload()
		b.pending()
		b.Cancel()
		b.wait()
		go h.arrive("y")
		<-running
		waiting := h.receive(s, 8)
		h.transport.Kill()
		want(t, "waiting receive", waiting.wait(), wsk.STATUS_FILE_FORCED_CLOSED)
		if ends != 0 {
			t.Error("told of the end while the callback was running")
		}
		close(goOn)
		synctest.Wait()
		want(t, "ReceiveFrom", h.receive(s, 8).wait(), wsk.STATUS_FILE_FORCED_CLOSED)
		want(t, "ReceiveFrom with a full buffer", h.receive(off, 8).wait(), wsk.STATUS_FILE_FORCED_CLOSED)
		h.arrive("late")
		if ends != 1 {
			t.Errorf("told of the end %d times", ends)
		}
		want(t, "enable", h.enable(s), wsk.STATUS_FILE_FORCED_CLOSED)
		want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
		want(t, "Close", h.close(off), wsk.STATUS_SUCCESS)
		h.nothingLent()
	})
}

// A socket whose callback is off is not told; one whose callback is not running is told at once.
func TestDeadSocketTold(t *testing.T) {
	h := newHost(t)
	ends := map[string]int{}
	for _, name := range []string{"on", "off", "switched off"} {
		local := map[string]string{"on": "0.0.0.0:1", "off": "0.0.0.0:2", "switched off": "0.0.0.0:3"}[name]
		s := h.eventSocket(local, func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
			if list == nil {
				ends[name]++
			}
			return wsk.STATUS_SUCCESS
		})
		if name != "off" {
			want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		}
		if name == "switched off" {
			want(t, "disable", h.disable(s, nil), wsk.STATUS_SUCCESS)
		}
	}
	h.transport.Kill()
	if len(ends) != 1 || ends["on"] != 1 {
		t.Errorf("told: %v", ends)
	}
}

// With a static callback the device may go before the bind has completed: the client is told after that.
func TestDeadSocketToldAfterBind(t *testing.T) {
	h := newHost(t)
	h.setStatic()
	var bound atomic.Bool
	ends := 0
	s := h.eventSocketUnbound("0.0.0.0:1000", func(_ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
		if ends++; list != nil || !bound.Load() {
			t.Errorf("called with %p, bound %v", list, bound.Load())
		}
		return wsk.STATUS_SUCCESS
	})
	h.transport.DelayBinds(true)
	irp := newCall(t)
	status := s.Bind(addr("0.0.0.0:1000"), 0, &irp.IRP)
	h.transport.Kill()
	bound.Store(true)
	h.transport.DelayBinds(false)
	want(t, "Bind", irp.end("Bind", status), wsk.STATUS_SUCCESS)
	want(t, "Close", h.close(s), wsk.STATUS_SUCCESS)
	if ends != 1 {
		t.Errorf("told %d times", ends)
	}
}
