// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// quicInbox collects what a client is told.
type quicInbox struct {
	t           *testing.T
	datagrams   chan quicDatagram
	unreachable chan netip.AddrPort
}

// listen makes q report to an inbox. It must come before the first binding.
func (q *quic) listen() *quicInbox {
	in := &quicInbox{t: q.t, datagrams: make(chan quicDatagram, 10_000), unreachable: make(chan netip.AddrPort, 100)}
	q.receive = func(_ *quicBinding, d quicDatagram) { in.datagrams <- d }
	q.unreachable = func(_ *quicBinding, remote netip.AddrPort) { in.unreachable <- remote }
	return in
}

func (in *quicInbox) next() quicDatagram {
	in.t.Helper()
	return take(in.t, "a datagram", in.datagrams)
}

// take receives from a channel of a client.
func take[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-testenv.Context(t, waitLimit).Done():
		t.Fatalf("%s does not come within %v", what, waitLimit)
		panic("not reached")
	}
}

// finish ends a client and checks that nothing is left of what it has allocated.
func (q *quic) finish(bindings ...*quicBinding) {
	q.t.Helper()
	for _, b := range bindings {
		if socket := b.socket; socket != nil { // what is lent goes back before a close
			testenv.Eventually(q.t, waitLimit, "the indications to come back", func() bool {
				return socket.ReceiveStatistics().Retained == 0
			})
		}
		b.delete()
	}
	q.close() // while the closes may still be pending
	for _, b := range bindings {
		if b.deleted.Load() != 1 {
			q.t.Error("WskDeregister returned before a close had completed")
		}
	}
	if blocks, freed := q.blocks.Load(), q.blocksFreed.Load(); blocks != freed {
		q.t.Errorf("%d of %d send blocks freed", freed, blocks)
	}
}

// TestMsquicClient is a connected binding: it sends to its fixed remote address without packet information, as a batch
// of nodes and as one buffer to be cut, and gets everything back.
//
// Checklist items 27, 48, 51, 54, 64 and 66.
func TestMsquicClient(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		for i := range 4 {
			six, retain := i%2 == 1, i >= 2
			t.Run(fmt.Sprintf("%s, retain %v", version(six), retain), func(t *testing.T) {
				p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(six), 0), true)
				q := newQuic(t, r)
				q.retain = retain
				if !q.segmentation || !q.coalescing || !q.dscp {
					t.Errorf("the probes found segmentation %v, coalescing %v, DSCP %v", q.segmentation, q.coalescing, q.dscp)
				}
				in := q.listen()
				b, status := q.newBinding(quicConfig{remote: p.addr, interfaceIndex: uint32(r.lab.A.If.Index()), owner: new(wsk.EPROCESS)})
				if !status.Success() {
					t.Fatal(status)
				}
				// A client ignores what comes to an address other than that of its path, which it learnt when the
				// binding was made.
				if got := b.local(); got.Addr() != r.a(six) && got.Addr() != second(six) || got.Port() == 0 {
					t.Fatalf("the local address is %v, want that of the route, %v or %v", got, r.a(six), second(six))
				}
				for _, segment := range []uint32{0, 1200} {
					q.conversation(b, p, in, segment)
				}
				q.finish(b)
			})
		}
		r.checkArrivals()
	})
}

// conversation sends packets of up to 1200 bytes, and compares what the peer gets and what comes back. No more are
// under way than fit into the default receive buffers of the kernel.
func (q *quic) conversation(b *quicBinding, p *peer, in *quicInbox, segment uint32) {
	const window = 32
	var sent [][]byte
	for round := range 40 {
		s := q.newBlock(segment, quicECN, quicDSCP)
		sizes := []int{1200, 1200, 1200, 1 + round*29}
		if round == 0 {
			sizes = []int{1}
		}
		for _, n := range sizes {
			packet := pattern(n, round*4+len(sent))
			s.add(packet)
			sent = append(sent, packet)
		}
		if status := b.send(b.local(), 0, p.addr, s); !status.Success() {
			q.t.Errorf("WskSendMessages: %v", status)
		}
		if len(sent) >= window || round == 39 {
			q.compare(b, p, in, sent)
			sent = sent[:0]
		}
	}
}

// What the packets of a conversation carry: ECT(0) and AF11.
const (
	quicECN  = 2
	quicDSCP = 10
)

// compare takes packets from the peer and their echoes from the client.
func (q *quic) compare(b *quicBinding, p *peer, in *quicInbox, sent [][]byte) {
	t := q.t
	t.Helper()
	for i, got := range p.wait(len(sent)) {
		if !bytes.Equal(got.data, sent[i]) {
			t.Fatalf("datagram %d differs: %d bytes, want %d", i, len(got.data), len(sent[i]))
		}
		if got.from != b.local() || got.tos != quicDSCP<<2|quicECN || got.ttl != 128 {
			t.Fatalf("datagram %d from %v, TOS %#x, TTL %d", i, got.from, got.tos, got.ttl)
		}
	}
	for i := range sent {
		d := in.next()
		if !bytes.Equal(d.data, sent[i]) {
			t.Fatalf("echo %d differs: %d bytes, want %d", i, len(d.data), len(sent[i]))
		}
		if d.local != b.local() || d.remote != p.addr || d.ecn != quicECN || d.ttl != peerTTL {
			t.Fatalf("echo %d from %v to %v, ECN %d, TTL %d", i, d.remote, d.local, d.ecn, d.ttl)
		}
	}
}

// TestMsquicServer is an unconnected binding: on one socket it answers IPv4 and IPv6 peers, each of them from the
// address that the peer has sent to, which only packet information can tell.
//
// Checklist items 25, 49 and 64.
func TestMsquicServer(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		q := newQuic(t, r)
		q.unreachable = func(_ *quicBinding, remote netip.AddrPort) { t.Errorf("%v is said to be unreachable", remote) }
		q.receive = func(b *quicBinding, d quicDatagram) { // answers from inside of the callback
			if index := uint32(r.lab.A.If.Index()); d.ifIndex != index {
				t.Errorf("came in through interface %d, want %d", d.ifIndex, index)
			}
			s := q.newBlock(1200, uint8(d.ecn&2), 0) // congestion experienced can't be sent
			s.add(d.data)
			s.add([]byte{byte(d.ecn), byte(d.ttl)})
			b.send(d.local, d.ifIndex, d.remote, s)
		}
		b, status := q.newBinding(quicConfig{local: netip.MustParseAddrPort("[::]:4433")})
		if !status.Success() {
			t.Fatal(status)
		}
		for _, six := range []bool{false, true} {
			p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(six), 0), false)
			for i, to := range []netip.Addr{r.a(six), second(six), r.a(six)} {
				for ecn := range 4 {
					request := pattern(1200, i*4+ecn)
					p.send(netip.AddrPortFrom(to, 4433), request, sending{tos: ecn, ttl: 40 + i})
					answer := p.wait(2)
					if want := netip.AddrPortFrom(to, 4433); answer[0].from != want || answer[1].from != want {
						t.Errorf("the answer comes from %v, asked was %v", answer[0].from, want)
					}
					if !bytes.Equal(answer[0].data, request) || !bytes.Equal(answer[1].data, []byte{byte(ecn), byte(40 + i)}) {
						t.Errorf("%s, ECN %d: the answer is %d bytes and %d", version(six), ecn, len(answer[0].data), answer[1].data)
					}
					if answer[0].tos != ecn&2 {
						t.Errorf("the answer has TOS %#x, want %#x", answer[0].tos, ecn&2)
					}
				}
			}
		}
		q.finish(b)
		r.checkArrivals()
	})
}

// TestMsquicCoalesced: datagrams that the kernel has put together come as one indication with their segment size, and
// the client takes it apart; single ones it takes as they are. With offloads a veth passes several segments on in one
// piece.
//
// Checklist item 66.
func TestMsquicCoalesced(t *testing.T) {
	eachMode(t, rigOptions{top: testenv.Topology{Offloads: true}}, func(t *testing.T, r *rig) {
		q := newQuic(t, r)
		in := q.listen()
		b, status := q.newBinding(quicConfig{local: netip.MustParseAddrPort("[::]:4434")})
		if !status.Success() {
			t.Fatal(status)
		}
		for _, six := range []bool{false, true} {
			p := newPeer(t, r.lab.B.NS, netip.AddrPortFrom(r.b(six), 0), false)
			data := pattern(20*1200+321, 1)
			p.send(netip.AddrPortFrom(r.a(six), 4434), data, sending{segment: 1200})
			coalesced := 0
			for rest := data; len(rest) > 0; {
				n := min(1200, len(rest))
				d := in.next()
				if !bytes.Equal(d.data, rest[:n]) || d.remote != p.addr {
					t.Fatalf("%s: %d bytes from %v, want %d", version(six), len(d.data), d.remote, n)
				}
				if d.coalesced {
					coalesced++
				}
				rest = rest[n:]
			}
			// A veth that does not take segments in one piece (Linux 5.10) cuts them before the companion socket could
			// see them so.
			if !r.xdp && coalesced != 21 && takesSegments(t, r.lab.B.If) {
				t.Errorf("%s: %d messages came coalesced, want all 21", version(six), coalesced)
			}
		}
		q.finish(b)
	})
}

func takesSegments(t *testing.T, i *testenv.Iface) bool {
	t.Helper()
	features, err := i.Features()
	if err != nil {
		t.Fatal(err)
	}
	return features["tx-udp-segmentation"]
}

// TestMsquicUnreachable: an ICMP error comes as an indication that names the destination, on connected bindings and on
// others. The send itself has succeeded.
//
// Checklist item 67.
func TestMsquicUnreachable(t *testing.T) {
	eachMode(t, rigOptions{}, func(t *testing.T, r *rig) {
		q := newQuic(t, r)
		in := q.listen()
		server, status := q.newBinding(quicConfig{})
		if !status.Success() {
			t.Fatal(status)
		}
		all := []*quicBinding{server}
		for i, six := range []bool{false, true} {
			nobody := netip.AddrPortFrom(r.b(six), uint16(9990+i))
			client, status := q.newBinding(quicConfig{remote: nobody})
			if !status.Success() {
				t.Fatal(status)
			}
			all = append(all, client)
			for _, b := range []*quicBinding{client, server} {
				s := q.newBlock(0, 0, 0)
				s.add(pattern(1200, 0))
				if status := b.send(netip.AddrPortFrom(r.a(six), 0), 0, nobody, s); !status.Success() {
					t.Errorf("WskSendMessages: %v", status)
				}
				if got := take(t, "the ICMP error", in.unreachable); got != nobody {
					t.Errorf("%v is said to be unreachable, and %v is", got, nobody)
				}
			}
		}
		if len(in.datagrams) != 0 {
			t.Errorf("%d datagrams out of nowhere", len(in.datagrams))
		}
		q.finish(all...)
	})
}
