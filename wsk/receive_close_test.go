// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Checklist item 69: pending receives complete with STATUS_CANCELLED and Information 0, in their order, before the
// close does; what was buffered is given back.
func TestCloseWithReceives(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	var mu sync.Mutex
	var order []string
	record := func(what string) wsk.CompletionRoutine {
		return func(irp *wsk.IRP, _ any) wsk.NTSTATUS {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, fmt.Sprint(what, " ", irp.IoStatus.Status.String(), " ", irp.IoStatus.Information, " ", irp.PendingReturned))
			return wsk.STATUS_MORE_PROCESSING_REQUIRED
		}
	}
	for i := range 3 {
		irp := wsk.AllocateIRP()
		irp.SetCompletionRoutine(record(fmt.Sprint("receive ", i)), nil, true, true, true)
		want(t, "ReceiveFrom", s.ReceiveFrom(text("room"), 0, nil, nil, nil, nil, irp), wsk.STATUS_PENDING)
	}
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(record("close"), nil, true, true, true)
	want(t, "Close", s.Close(irp), wsk.STATUS_PENDING)
	if err := irp.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	const cancelled = " STATUS_CANCELLED 0 true"
	if !slices.Equal(order, []string{"receive 0" + cancelled, "receive 1" + cancelled, "receive 2" + cancelled, "close STATUS_SUCCESS 0 true"}) {
		t.Errorf("completed as %q", order)
	}
	want(t, "ReceiveFrom", h.receive(s, 8).wait(), wsk.STATUS_FILE_CLOSED) // item 73
	want(t, "enable", h.enable(s), wsk.STATUS_FILE_CLOSED)

	buffering := h.bound("0.0.0.0:1000") // item 72: the port is free
	h.arrive("1", "2")
	want(t, "Close", h.close(buffering), wsk.STATUS_SUCCESS)
	if st := buffering.ReceiveStatistics(); st.Discarded != 2 || st.Buffered != 0 {
		t.Errorf("%+v", st)
	}
	h.nothingLent()
}

// Checklist item 71: a close waits for running callbacks, whether it is called from outside or from inside of one.
func TestCloseWithCallback(t *testing.T) {
	for _, inside := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHost(t)
			running, goOn := make(chan struct{}), make(chan struct{})
			end := newCall(t)
			var s *wsk.Socket
			var status wsk.NTSTATUS
			s = h.eventSocket("0.0.0.0:1000", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS {
				if inside {
					status = s.Close(&end.IRP)
				}
				close(running)
				<-goOn
				return wsk.STATUS_DATA_NOT_ACCEPTED // nobody will ask for it any more
			})
			want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
			go h.arrive("x")
			<-running
			if !inside {
				status = s.Close(&end.IRP)
			}
			want(t, "Close", status, wsk.STATUS_PENDING)
			synctest.Wait()
			if end.completed.Load() != 0 {
				t.Error("closed while the callback was running")
			}
			close(goOn)
			want(t, "Close", end.end("Close", status), wsk.STATUS_SUCCESS)
			synctest.Wait()
			h.nothingLent()
		})
	}
}

// The same while what was buffered is handed out, and with a disabling that waits for the callback.
func TestCloseWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(t)
		running, goOn := make(chan struct{}), make(chan struct{})
		calls := 0
		s := h.eventSocket("0.0.0.0:1000", func(uint32, *wsk.DatagramIndication) wsk.NTSTATUS {
			calls++
			close(running)
			<-goOn
			return wsk.STATUS_SUCCESS
		})
		multicast := from(peer, "m")
		multicast.Cast = 1
		h.transport.Arrive(from(peer, "u"), multicast)
		want(t, "enable", h.enable(s), wsk.STATUS_SUCCESS)
		<-running
		off, end := newCall(t), newCall(t)
		offStatus := h.disable(s, &off.IRP)
		want(t, "disable", offStatus, wsk.STATUS_PENDING)
		endStatus := s.Close(&end.IRP)
		synctest.Wait()
		if end.completed.Load() != 0 {
			t.Error("closed while the callback was running")
		}
		close(goOn)
		want(t, "disable", off.end("disable", offStatus), wsk.STATUS_SUCCESS)
		want(t, "Close", end.end("Close", endStatus), wsk.STATUS_SUCCESS)
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
		h.nothingLent()
	})
}

// Checklist item 71: close from the completion routine of a receive.
func TestCloseFromReceiveRoutine(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	end := newCall(t)
	var status wsk.NTSTATUS
	irp := wsk.AllocateIRP()
	irp.SetCompletionRoutine(func(*wsk.IRP, any) wsk.NTSTATUS {
		status = s.Close(&end.IRP)
		return wsk.STATUS_MORE_PROCESSING_REQUIRED
	}, nil, true, true, true)
	other := wsk.AllocateIRP()
	s.ReceiveFrom(text("room"), 0, nil, nil, nil, nil, irp)
	s.ReceiveFrom(text("room"), 0, nil, nil, nil, nil, other)
	h.arrive("x")
	want(t, "Close", end.end("Close", status), wsk.STATUS_SUCCESS)
	want(t, "the other receive", other.IoStatus.Status, wsk.STATUS_CANCELLED)
	h.nothingLent()
}
