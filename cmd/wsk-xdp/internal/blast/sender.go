// SPDX-License-Identifier: Apache-2.0

package blast

import "github.com/wsk-xdp/wsk-xdp/wsk"

// Sender passes IRPs to sockets in turn. All datagrams share one payload, which nobody writes to, and so one MDL.
type Sender struct {
	sockets []*wsk.Socket
	remote  wsk.SOCKADDR
	control []byte
	buf     wsk.Buf
	list    []wsk.BufList // chained; a burst of n is its last n nodes
	next    int
}

// NewSender makes a sender of datagrams with this payload, in bursts of up to batch.
func NewSender(sockets []*wsk.Socket, remote wsk.SOCKADDR, control, payload []byte, batch int) *Sender {
	s := &Sender{sockets: sockets, remote: remote, control: control}
	s.buf = wsk.Buf{Mdl: wsk.AllocateMDL(payload), Length: uintptr(len(payload))}
	s.list = make([]wsk.BufList, batch)
	for i := range s.list {
		s.list[i].Buffer = s.buf
		if i > 0 {
			s.list[i-1].Next = &s.list[i]
		}
	}
	return s
}

// send passes n datagrams with one IRP: WskSendTo for one, WskSendMessages for more.
func (s *Sender) send(irp *wsk.IRP, n int) {
	socket := s.sockets[s.next]
	if s.next++; s.next == len(s.sockets) {
		s.next = 0
	}
	if n == 1 {
		socket.SendTo(&s.buf, 0, s.remote, s.control, irp)
		return
	}
	socket.SendMessages(&s.list[len(s.list)-n], 0, s.remote, s.control, irp)
}
