// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// stormOp is a send or a receive, used again and again.
type stormOp struct {
	irp     wsk.IRP
	client  *stormClient
	free    chan *stormOp
	counts  *[outcomes]atomic.Int64
	what    string
	memory  []byte
	buf     wsk.Buf
	list    [3]wsk.BufList
	from    wsk.SOCKADDR
	control [256]byte
	length  uint32
	flags   uint32
}

// window is how many operations a loop has under way.
const window = 24

func (c *stormClient) newOps(what string, counts *[outcomes]atomic.Int64, size int) chan *stormOp {
	free := make(chan *stormOp, window)
	for range window {
		op := &stormOp{client: c, free: free, counts: counts, what: what, memory: make([]byte, size)}
		op.from = make(wsk.SOCKADDR, wsk.SizeofSockaddrIn6)
		free <- op
	}
	return free
}

// stormEnd is the completion routine of both.
func stormEnd(irp *wsk.IRP, context any) wsk.NTSTATUS {
	op := context.(*stormOp)
	status := irp.IoStatus.Status
	op.counts[op.client.storm.outcome(op.what, status)].Add(1)
	if op.what == "WskReceiveFrom" && (status.Success() || status == wsk.STATUS_BUFFER_OVERFLOW) {
		if got := op.memory[:irp.IoStatus.Information]; !allUniform(got, coalescedSize(op.control[:op.length])) {
			op.client.storm.t.Errorf("received %d bytes that nobody sent", len(got))
		}
	}
	op.free <- op
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// coalescedSize is the size of the datagrams that a receive has got together, 0 when it has got one.
func coalescedSize(control []byte) int {
	it := wsk.CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		if m.Level == wsk.IPPROTO_UDP && m.Type == wsk.UDP_COALESCED_INFO {
			return int(binary.LittleEndian.Uint32(m.Data))
		}
	}
	return 0
}

// cancelSome cancels one of the last operations now and then, no matter who has it. It may hit the next use of the IRP.
func cancelSome(recent []*stormOp, random *rand.Rand) {
	if op := recent[random.IntN(len(recent))]; op != nil && random.IntN(6) == 0 {
		op.irp.Cancel()
	}
}

// drain waits until everything is free again.
func drain(free chan *stormOp) {
	for range window {
		<-free
	}
}

// sendLoop sends single datagrams and lists, of every size, in MDL chains, with and without control data.
func (c *stormClient) sendLoop(random *rand.Rand) {
	const most = 6000
	free := c.newOps("send", &c.storm.sent, most)
	defer drain(free)
	recent := make([]*stormOp, 16)
	for n := 0; !c.stop.Load(); n++ {
		s := c.pick(random)
		if s == nil {
			continue
		}
		op := <-free
		op.irp.Reuse(wsk.STATUS_SUCCESS)
		op.fill(byte(n), random)
		to := c.target(s, random)
		control := wsk.AppendTOS(op.control[:0], to.Family() == wsk.AF_INET || isMapped(to), byte(random.IntN(64))<<2)
		if random.IntN(2) == 0 {
			control = nil
		}
		call := c.audit.arm(&op.irp, "send", stormEnd, op)
		if random.IntN(3) == 0 {
			for i := range op.list {
				op.list[i] = wsk.BufList{Buffer: op.buf}
				if i > 0 {
					op.list[i-1].Next = &op.list[i]
				}
			}
			call.returns(s.socket.SendMessages(&op.list[0], 0, to, control, &op.irp))
		} else {
			stack := op.buf
			call.returns(s.socket.SendTo(&stack, 0, to, control, &op.irp))
			stack = wsk.Buf{}
		}
		scribble(to)
		scribble(control)
		recent[n%len(recent)] = op
		cancelSome(recent, random)
	}
}

func isMapped(sa wsk.SOCKADDR) bool {
	ap, ok := sa.AddrPort()
	return ok && ap.Addr().Is4In6()
}

// fill makes the payload one byte, over and over, in one to three MDLs.
func (op *stormOp) fill(c byte, random *rand.Rand) {
	size := random.IntN(1400)
	if random.IntN(40) == 0 {
		size = random.IntN(len(op.memory))
	}
	b := op.memory[:size]
	for i := range b {
		b[i] = c
	}
	cut := random.IntN(size + 1)
	first := wsk.AllocateMDL(b[:cut])
	first.Next = wsk.AllocateMDL(b[cut:])
	op.buf = wsk.Buf{Mdl: first, Length: uintptr(size)}
}

// receiveLoop keeps receives posted on sockets, some of them too small.
func (c *stormClient) receiveLoop(random *rand.Rand) {
	free := c.newOps("WskReceiveFrom", &c.storm.got, 2000)
	defer drain(free) // every socket that has one is closed in the end
	recent := make([]*stormOp, 16)
	for n := 0; !c.stop.Load(); n++ {
		s := c.pick(random)
		if s == nil {
			continue
		}
		var op *stormOp
		select {
		case op = <-free:
		default:
			cancelSome(recent, random)
			select {
			case op = <-free:
			case <-c.over:
				return
			}
		}
		op.irp.Reuse(wsk.STATUS_SUCCESS)
		size := len(op.memory)
		if random.IntN(4) == 0 {
			size = 100
		}
		op.length = uint32(len(op.control))
		op.buf = wsk.Buf{Mdl: wsk.AllocateMDL(op.memory[:size]), Length: uintptr(size)}
		call := c.audit.arm(&op.irp, "WskReceiveFrom", stormEnd, op)
		call.returns(s.socket.ReceiveFrom(&op.buf, 0, op.from, &op.length, op.control[:], &op.flags, &op.irp))
		recent[n%len(recent)] = op
		cancelSome(recent, random)
	}
}

// stormReceive is the callback. It accepts, keeps some or all, gives back inside the call, does not accept, and fails,
// by turns.
func stormReceive(context any, _ uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	s := context.(*stormSocket)
	c := s.client
	if list == nil {
		c.storm.t.Error("a socket is told dead")
		return wsk.STATUS_SUCCESS
	}
	for node := list; node != nil; node = node.Next {
		if !uniform(contiguous(&node.Buffer)) {
			c.storm.t.Errorf("indicated %d bytes that nobody sent", node.Buffer.Length)
		}
	}
	switch turn := c.storm.turns.Add(1) % 16; {
	case turn < 8:
		c.storm.callbs[outcomeSuccess].Add(1)
		return wsk.STATUS_SUCCESS
	case turn < 12:
		c.storm.callbs[outcomeCancelled].Add(1)
		for node := list; node != nil; {
			next := node.Next
			node.Next = nil
			select {
			case c.retained <- kept{s.socket, node}:
			default:
				s.giveBack(node)
			}
			node = next
		}
		return wsk.STATUS_PENDING
	case turn < 14:
		c.storm.callbs[outcomeClosed].Add(1)
		return wsk.STATUS_DATA_NOT_ACCEPTED
	}
	c.storm.callbs[outcomeFailed].Add(1)
	return wsk.STATUS_DEVICE_NOT_READY
}

func (s *stormSocket) giveBack(node *wsk.DatagramIndication) {
	if status := s.socket.Release(node); status != wsk.STATUS_SUCCESS {
		s.client.storm.t.Errorf("WskRelease: %v", status)
	}
}

// giveBack releases what was kept, some time later, even after the socket has been closed and the client has gone.
func (c *stormClient) giveBack() {
	for h := range c.retained {
		if !uniform(contiguous(&h.node.Buffer)) {
			c.storm.t.Errorf("%d bytes have changed while they were kept", h.node.Buffer.Length)
		}
		if status := h.socket.Release(h.node); status != wsk.STATUS_SUCCESS {
			c.storm.t.Errorf("WskRelease: %v", status)
		}
	}
}
