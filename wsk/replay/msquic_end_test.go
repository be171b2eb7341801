// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestMsquicFailures: whatever becomes of a send, the routine frees its block, once. Nobody looks at what the call
// returns.
//
// Checklist items 13 to 16.
func TestMsquicFailures(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		q := newQuic(t, r)
		q.listen()
		b, status := q.newBinding(quicConfig{})
		if !status.Success() {
			t.Fatal(status)
		}
		local, peer := netip.AddrPortFrom(r.a(false), 0), netip.AddrPortFrom(r.b(false), 9)
		foreign := netip.MustParseAddrPort("192.0.2.1:0")
		for _, tc := range []struct {
			name          string
			local, remote netip.AddrPort
			size          int
			ecn           uint8
			segment       uint32
		}{
			{"too large for the path", local, peer, 1473, 0, 0},
			{"segments too large for the path", local, peer, 1473, 0, 1473},
			{"a source that is not ours", foreign, peer, 10, 0, 0},
			{"no port", local, netip.AddrPortFrom(peer.Addr(), 0), 10, 0, 0},
			{"no route", local, netip.MustParseAddrPort("198.51.100.1:9"), 10, 0, 0},
			{"a wildcard", local, netip.MustParseAddrPort("0.0.0.0:9"), 10, 0, 0},
			{"IPv6 packet information to an IPv4 peer", netip.AddrPortFrom(r.a(true), 0), peer, 10, 0, 0},
		} {
			freed := q.blocksFreed.Load()
			s := q.newBlock(tc.segment, tc.ecn, 0)
			s.add(make([]byte, tc.size))
			done := make(chan wsk.NTSTATUS, 1)
			irp := &s.irp
			status := b.sendWatched(tc.local, tc.remote, s, done)
			if end := take(t, tc.name, done); end.Success() || status != wsk.STATUS_PENDING && status != end {
				t.Errorf("%s: returned %v, completed with %v", tc.name, status, end)
			}
			if q.blocksFreed.Load() != freed+1 || irp.PendingReturned && !s.freed.Load() {
				t.Errorf("%s: the block was not freed", tc.name)
			}
		}
		q.finish(b)
	})
}

// sendWatched is send with a routine that also reports the status.
func (b *quicBinding) sendWatched(local, remote netip.AddrPort, s *quicBlock, done chan<- wsk.NTSTATUS) wsk.NTSTATUS {
	control := wsk.AppendPktinfo(nil, local.Addr(), 0)
	if s.segment != 0 {
		control = wsk.AppendSendMsgSize(control, s.segment)
	}
	c := b.quic.audit.arm(&s.irp, "WskSendMessages", func(irp *wsk.IRP, context any) wsk.NTSTATUS {
		status := irp.IoStatus.Status
		answer := quicSent(irp, context)
		done <- status
		return answer
	}, s)
	return c.returns(b.socket.SendMessages(s.first, 0, wsk.NewSockaddr(mapped(remote)), control, &s.irp))
}

// TestMsquicRundown: a binding that is being deleted refuses indications with STATUS_DEVICE_NOT_READY. They are
// dropped, and the close completes while the peer goes on.
//
// Checklist items 61 and 73.
func TestMsquicRundown(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		q := newQuic(t, r)
		in := q.listen()
		b, status := q.newBinding(quicConfig{local: netip.MustParseAddrPort("[::]:4435")})
		if !status.Success() {
			t.Fatal(status)
		}
		p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(false), 0), false)
		to := netip.AddrPortFrom(r.a(false), 4435)
		p.send(to, []byte("before"), sending{})
		in.next()
		b.rundown.wait(t)
		socket := b.socket
		for i := range 100 {
			p.send(to, binary.BigEndian.AppendUint32(nil, uint32(i)), sending{})
		}
		testenv.Eventually(t, waitLimit, "refused datagrams", func() bool { return socket.ReceiveStatistics().Refused >= 100 })
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					p.send(to, []byte("during"), sending{})
				}
			}
		}()
		q.finish(b)
		close(stop)
		<-stopped
		if n := len(in.datagrams); n != 0 {
			t.Errorf("%d datagrams were accepted after the rundown", n)
		}
		if s := socket.ReceiveStatistics(); s.Retained != 0 || s.Buffered != 0 {
			t.Errorf("%+v", s)
		}
	})
}
