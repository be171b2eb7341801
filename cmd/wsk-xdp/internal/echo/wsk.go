// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/client"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
)

// answers is how many answers may be under way: as many as frames may have come while this process did not run. heldAnswers
// where they wait for their time.
const answers = 8192

// WSK answers by WSK sockets over AF_XDP, one for each version of IP, from within the callback that brings a datagram.
type WSK struct {
	rule   Rule
	meter  *Meter
	dp     *datapath.Datapath
	client *client.Client
	late   *delayed[*slot] // nil where answers leave at once
	free   chan *slot
	spare  atomic.Int64 // slots that may still be made
}

// end is a socket, in its own context.
type end struct {
	e      *WSK
	socket *wsk.Socket
}

// slot is an answer. It is the provider's until its IRP completes.
type slot struct {
	e       *WSK
	irp     wsk.IRP
	data    []byte
	mdl     wsk.MDL
	buf     wsk.Buf
	control []byte
	socket  *wsk.Socket
	remote  wsk.SOCKADDR
}

// OpenWSK attaches an XDP program to the interfaces, and answers until Close what comes over AF_XDP from there, and by the
// kernel's stack from elsewhere. An invalid address is every one. netns is a descriptor, 0 for the process's own.
func OpenWSK(ctx context.Context, netns int, interfaces []string, local netip.AddrPort, rule Rule, meter *Meter, logger *slog.Logger) (*WSK, error) {
	most := answers
	if rule.Path.Delay > 0 {
		most = heldAnswers
	}
	e := &WSK{rule: rule, meter: meter, free: make(chan *slot, most)}
	e.spare.Store(int64(most))
	if rule.Path.Delay > 0 {
		e.late = newDelayed(rule.Path.Delay, (*slot).send)
	}
	var err error
	e.dp, err = recv.OpenDatapath(datapath.Options{NetNS: netns, Receive: interfaces, Logger: logger})
	if err != nil {
		return nil, err
	}
	if e.client, err = client.Open(e.dp, e.dp.Close); err != nil {
		return nil, err
	}
	addresses := []netip.Addr{local.Addr()}
	if !local.Addr().IsValid() {
		addresses = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, a := range addresses {
		if err := e.bind(ctx, netip.AddrPortFrom(a, local.Port())); err != nil {
			return nil, errors.Join(err, e.Close())
		}
	}
	return e, nil
}

// bind makes a socket that answers. It is told where datagrams were sent to.
func (e *WSK) bind(ctx context.Context, local netip.AddrPort) (err error) {
	family, level, option := uint16(wsk.AF_INET6), uint32(wsk.IPPROTO_IPV6), uint32(wsk.IPV6_PKTINFO)
	if local.Addr().Is4() {
		family, level, option = wsk.AF_INET, wsk.IPPROTO_IP, wsk.IP_PKTINFO
	}
	one := &end{e: e}
	if one.socket, err = e.client.Socket(ctx, family, &wsk.ClientDatagramDispatch{ReceiveFromEvent: received}, one); err != nil {
		return err
	}
	if err := client.SetOption(ctx, one.socket, level, option, 1); err != nil {
		return err
	}
	if err := client.Bind(ctx, one.socket, local); err != nil {
		return err
	}
	return client.EnableReceiveFrom(ctx, one.socket)
}

// received is the callback.
func received(context any, flags uint32, list *wsk.DatagramIndication) wsk.NTSTATUS {
	one := context.(*end)
	for d := list; d != nil; d = d.Next {
		one.take(d, flags&(wsk.MSG_BCAST|wsk.MSG_MCAST) != 0)
	}
	return wsk.STATUS_SUCCESS
}

func (one *end) take(d *wsk.DatagramIndication, cast bool) {
	e := one.e
	var head [stamp.Size]byte
	n := copyFrom(head[:], &d.Buffer)
	from, _ := d.RemoteAddress.AddrPort()
	cause := e.rule.judge(head[:n], from, cast)
	var s *slot
	if cause == "" {
		if s = e.slot(); s == nil {
			cause = NoRoom
		}
	}
	e.meter.came(int(d.Buffer.Length), cause)
	if s == nil {
		return
	}
	s.fill(d)
	s.socket, s.remote = one.socket, append(s.remote[:0], d.RemoteAddress...)
	if e.late == nil {
		s.send()
	} else if !e.late.put(time.Now(), s) {
		panic("echo: there are more slots than answers may wait") // as many may wait as there are slots
	}
}

// slot is one for another answer, nil where there is none.
func (e *WSK) slot() *slot {
	select {
	case s := <-e.free:
		return s
	default:
	}
	if e.spare.Add(-1) < 0 {
		e.spare.Add(1)
		return nil
	}
	return &slot{e: e}
}

// send sends the answer.
func (s *slot) send() {
	s.irp.Reuse(wsk.STATUS_SUCCESS)
	s.irp.SetCompletionRoutine(sent, s, true, true, true)
	s.socket.SendTo(&s.buf, 0, s.remote, s.control, &s.irp)
}

// sent is the completion routine of every answer. It keeps the IRP, which is used again.
func sent(irp *wsk.IRP, context any) wsk.NTSTATUS {
	s := context.(*slot)
	s.e.meter.sent(irp.IoStatus.Status == wsk.STATUS_SUCCESS)
	s.e.free <- s // has room for all
	return wsk.STATUS_MORE_PROCESSING_REQUIRED
}

// fill makes the slot the answer to a datagram.
func (s *slot) fill(d *wsk.DatagramIndication) {
	n := int(d.Buffer.Length)
	if cap(s.data) < n {
		s.data = make([]byte, n)
	}
	s.data = s.data[:n]
	copyFrom(s.data, &d.Buffer)
	answer(s.data)
	s.mdl.Init(s.data)
	s.buf = wsk.Buf{Mdl: &s.mdl, Length: uintptr(n)}
	s.control = appendSource(s.control[:0], d.ControlInfo)
}

// appendSource appends that an answer comes from where its datagram was sent to, through whatever interface, which only a
// link-local address says more about.
func appendSource(b, control []byte) []byte {
	it := wsk.CMsgs(control)
	for m, ok := it.Next(); ok; m, ok = it.Next() {
		switch {
		case m.Level == wsk.IPPROTO_IP && m.Type == wsk.IP_PKTINFO && len(m.Data) >= 8:
			return wsk.AppendPktinfo(b, netip.AddrFrom4([4]byte(m.Data[:4])), 0)
		case m.Level == wsk.IPPROTO_IPV6 && m.Type == wsk.IPV6_PKTINFO && len(m.Data) >= 20:
			a, index := netip.AddrFrom16([16]byte(m.Data[:16])), uint32(0)
			if a.IsLinkLocalUnicast() {
				index = binary.LittleEndian.Uint32(m.Data[16:])
			}
			return wsk.AppendPktinfo(b, a, index)
		}
	}
	return b
}

// copyFrom copies what a buffer describes, as much as fits.
func copyFrom(b []byte, from *wsk.Buf) (n int) {
	for c := from.Cursor(0); n < len(b); {
		piece := c.Next(len(b) - n)
		if len(piece) == 0 {
			break
		}
		n += copy(b[n:], piece)
	}
	return n
}

// Broken is never closed: datagrams come through the kernel's stack where AF_XDP has ended.
func (e *WSK) Broken() <-chan struct{} { return nil }

// Name is the word on the command line.
func (e *WSK) Name() string { return "wsk" }

// Drops are the datagrams that there was no room for, by cause. It is never nil.
func (e *WSK) Drops() map[string]uint64 { return recv.DropsOf(e.dp.Info()) }

// Close returns when nothing is answered any more.
func (e *WSK) Close() error {
	e.late.close()
	err := e.client.Close(context.Background())
	e.meter.held(e.late.left()) // what came while it ended among them
	return err
}
