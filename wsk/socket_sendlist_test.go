// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"fmt"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/wsktest"
)

// list links buffers.
func list(bufs ...*wsk.Buf) *wsk.BufList {
	var head *wsk.BufList
	tail := &head
	for _, b := range bufs {
		node := &wsk.BufList{Buffer: *b}
		*tail, tail = node, &node.Next
	}
	return head
}

func (h *host) sendList(s *wsk.Socket, l *wsk.BufList, control []byte) (wsk.NTSTATUS, uintptr) {
	h.t.Helper()
	irp := newCall(h.t)
	status := irp.end("SendMessages", s.SendMessages(l, 0, addr("192.0.2.1:9"), control, &irp.IRP))
	return status, irp.IoStatus.Information
}

// Checklist item 39.
func TestSendMessages(t *testing.T) {
	for _, k := range []int{1, 2, 1000} {
		h := newHost(t)
		s := h.bound("0.0.0.0:1000")
		var bufs []*wsk.Buf
		sum := 0
		for i := range k {
			payload := fmt.Sprint("datagram ", i)
			if i%10 == 3 {
				payload = ""
			}
			sum += len(payload)
			bufs = append(bufs, text(payload))
		}
		status, information := h.sendList(s, list(bufs...), nil)
		want(t, "SendMessages", status, wsk.STATUS_SUCCESS)
		if information != uintptr(sum) {
			t.Errorf("k=%d: Information %d, want %d", k, information, sum)
		}
		datagrams := h.transport.Datagrams()
		if len(datagrams) != k || h.transport.Counts().Sends != 1 {
			t.Fatalf("k=%d: %d datagrams in %d operations", k, len(datagrams), h.transport.Counts().Sends)
		}
		for i, d := range datagrams {
			if string(d.Payload) != string(bufs[i].Mdl.Bytes()) {
				t.Errorf("k=%d: datagram %d is %q", k, i, d.Payload)
			}
		}
	}
}

// Checklist item 40: a bad node anywhere lets the whole list fail; so does an empty list, and one without an
// end.
func TestSendMessagesValidatesFirst(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	good, bad := text("good"), &wsk.Buf{Length: 1}
	huge := &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 65508)), Length: 65508}
	loop := list(good, good, good, good, good)
	loop.Next.Next.Next.Next.Next = loop.Next.Next
	self := list(good)
	self.Next = self
	for _, c := range []struct {
		name string
		list *wsk.BufList
		want wsk.NTSTATUS
	}{
		{"first", list(bad, good), wsk.STATUS_INVALID_PARAMETER},
		{"middle", list(good, bad, good), wsk.STATUS_INVALID_PARAMETER},
		{"last", list(good, good, bad), wsk.STATUS_INVALID_PARAMETER},
		{"too-long-last", list(good, good, huge), wsk.STATUS_INVALID_BUFFER_SIZE},
		{"empty-list", nil, wsk.STATUS_INVALID_PARAMETER},
		{"cycle", loop, wsk.STATUS_INVALID_PARAMETER},
		{"cycle-of-one", self, wsk.STATUS_INVALID_PARAMETER},
	} {
		status, _ := h.sendList(s, c.list, nil)
		want(t, c.name, status, c.want)
	}
	if n := h.transport.Counts().Sends; n != 0 {
		t.Errorf("%d operations reached the transport", n)
	}
}

// Checklist item 41: one control applies to all, and UDP_SEND_MSG_SIZE cuts each node.
func TestSendMessagesControl(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	control := wsk.AppendSendMsgSize(wsk.AppendTOS(nil, true, 4), 3)
	status, information := h.sendList(s, list(text("abcdefgh"), text(""), text("ij")), control)
	want(t, "SendMessages", status, wsk.STATUS_SUCCESS)
	if information != 10 {
		t.Errorf("Information %d, want 10", information)
	}
	wants := []string{"abc", "def", "gh", "", "ij"}
	datagrams := h.transport.Datagrams()
	if len(datagrams) != len(wants) {
		t.Fatalf("%d datagrams, want %d", len(datagrams), len(wants))
	}
	for i, d := range datagrams {
		if string(d.Payload) != wants[i] || d.To.TOS != 4 {
			t.Errorf("datagram %d: %q TOS %d", i, d.Payload, d.To.TOS)
		}
	}
}

// Checklist item 42: the nodes are copied; only the MDLs must stay.
func TestSendMessagesCapturesNodes(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	h.transport.SetMode(wsktest.Wait)
	irp := newCall(t)
	l := list(text("one"), text("two"))
	status := s.SendMessages(l, 0, addr("192.0.2.1:9"), nil, &irp.IRP)
	want(t, "SendMessages", status, wsk.STATUS_PENDING)
	*l.Next = wsk.BufList{}
	*l = wsk.BufList{}
	h.transport.CompleteAll(wsk.STATUS_SUCCESS)
	want(t, "SendMessages", irp.end("SendMessages", status), wsk.STATUS_SUCCESS)
	if d := h.transport.Datagrams(); len(d) != 2 || string(d[0].Payload) != "one" || string(d[1].Payload) != "two" {
		t.Errorf("left: %v", d)
	}
}

// A failure in the middle ends the whole operation, with that status and Information 0.
func TestSendMessagesFailureLater(t *testing.T) {
	h := newHost(t)
	s := h.bound("0.0.0.0:1000")
	h.transport.SetMode(wsktest.Post)
	irp := newCall(t)
	status := s.SendMessages(list(text("one"), text("two")), 0, addr("192.0.2.1:9"), nil, &irp.IRP)
	h.transport.CompleteAll(wsk.STATUS_NETWORK_UNREACHABLE)
	want(t, "SendMessages", irp.end("SendMessages", status), wsk.STATUS_NETWORK_UNREACHABLE) // end compares Information
}
