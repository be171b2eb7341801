// SPDX-License-Identifier: Apache-2.0

package client

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// TestEarlyCompletion: nothing completes while the writer still copies its payload, whatever a daemon says that has seen
// nothing of it yet.
func TestEarlyCompletion(t *testing.T) {
	s := newSession(new(Transport), new(connection))
	ep := newEndpoint(s.t, wsk.AF_INET, nil)
	if err := ep.attach(s); err != nil {
		t.Fatal(err)
	}
	ep.bound = true
	ep.out.init()
	irp := wsk.AllocateIRP()
	to := wsk.Destination{Addr: netip.MustParseAddr("198.51.100.7").As16(), Port: 9}
	ep.Send(irp.Relay(&to, &wsk.Buf{Mdl: wsk.AllocateMDL(make([]byte, 2)), Length: 2}, 0))
	o := outgoing{buf: make([]byte, 0, ipc.MaxMessage)}
	if !ep.fill(&o) {
		t.Fatal("nothing to send")
	}
	h, body, err := ipc.ParseRequest(o.writer.Message())
	var send ipc.Send
	if err == nil {
		err = send.Decode(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	var done ipc.Done
	done.Add(ipc.Completion{ID: send.Datagrams()[0].ID, Bytes: 2})
	if err := s.sent(ipc.Header{Type: h.Type.Reply(), Seq: h.Seq, Socket: h.Socket}, &done); err == nil {
		t.Error("the reply is taken")
	}
	if n := len(s.done.list); n != 0 {
		t.Errorf("%d operations have ended", n)
	}
}
