// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"context"
	"net/netip"
	"testing"
)

// Checklist item 75, this package's part: a send, its completion, its routine and the reuse of its IRP allocate
// nothing, for each kind of send; nor does a call that is refused, nor a Wait.
func TestNoAllocations(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	control4 := AppendSendMsgSize(AppendTTL(AppendTOS(AppendPktinfo(nil, v4, 3), true, 1), true, 9), 20)
	control6 := AppendECN(AppendPktinfo(nil, v6, 3), false, 1)
	s4, transport4 := newSinkSocket(t, "0.0.0.0:1000")
	s6, transport6 := newSinkSocket(t, "[::]:1000")
	to4 := NewSockaddr(netip.MustParseAddrPort("192.0.2.1:9"))
	to6 := NewSockaddr(netip.MustParseAddrPort("[2001:db8::1]:9"))
	fixed := AllocateIRP()
	s4.ControlSocket(WskIoctl, SIO_WSK_SET_SENDTO_ADDRESS, 0, to4, nil, nil, fixed)

	irp := AllocateIRP()
	n := 0
	first, second := AllocateMDL(make([]byte, 33)), AllocateMDL(make([]byte, 31))
	first.Next = second
	buf := &Buf{Mdl: first, Offset: 1, Length: 63}
	nodes := make([]BufList, 40)
	for i := range nodes {
		nodes[i].Buffer = *buf
		if i > 0 {
			nodes[i-1].Next = &nodes[i]
		}
	}
	walk := func(op *SendOp) {
		for i := range op.Bufs {
			for c := op.Bufs[i].Cursor(0); len(c.Next(40)) != 0; {
			}
		}
	}
	finish := func(transport *sink) {
		walk(transport.op)
		transport.op.Complete(STATUS_SUCCESS)
		irp.Reuse(STATUS_SUCCESS)
	}
	batch := &Batch{Sends: []BatchSend{{Buf: buf, Remote: to4, IRP: irp}, {Buf: buf, Remote: to4, Control: control4, IRP: AllocateIRP()}, {}}}
	set := func() { irp.SetCompletionRoutine(freeRoutine, &n, true, true, true) }
	for name, f := range map[string]func(){
		"ipv4":         func() { set(); s4.SendTo(buf, 0, to4, nil, irp); finish(transport4) },
		"ipv4-fixed":   func() { set(); s4.SendTo(buf, 0, nil, nil, irp); finish(transport4) },
		"ipv4-control": func() { set(); s4.SendTo(buf, 0, to4, control4, irp); finish(transport4) },
		"ipv6":         func() { set(); s6.SendTo(buf, 0, to6, nil, irp); finish(transport6) },
		"ipv6-control": func() { set(); s6.SendTo(buf, 0, to6, control6, irp); finish(transport6) },
		"list":         func() { set(); s4.SendMessages(&nodes[0], 0, to4, nil, irp); finish(transport4) },
		"batch": func() {
			set()
			s4.SendBatch(batch)
			transport4.op.Complete(STATUS_SUCCESS)
			batch.Sends[1].IRP.Reuse(STATUS_SUCCESS)
			transport4.op = &irp.op
			finish(transport4)
		},
		"refused":          func() { set(); s4.SendTo(buf, 1, to4, nil, irp); irp.Reuse(0) },
		"cancelled-before": func() { set(); irp.Cancel(); s4.SendTo(buf, 0, to4, nil, irp); irp.Reuse(0) },
		"wait": func() {
			irp.begin()
			w := irp.addWaiter(irp.begun, nil)
			irp.complete(STATUS_SUCCESS, 0)
			<-w.woken
			irp.putWaiter(w)
			if err := irp.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
			irp.Reuse(0)
		},
	} {
		before := n
		if allocs := testing.AllocsPerRun(200, f); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
		if name != "wait" && n-before != 201 {
			t.Errorf("%s: the routine ran %d times in 201 rounds", name, n-before)
		}
	}
}
