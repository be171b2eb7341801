// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/peer"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// relaySender is a way of blast.
type relaySender struct {
	engine string
	flags  []string
	flows  int
}

// relaySenders has rows for every engine.
var relaySenders = []relaySender{
	{"wsk", nil, 1},
	{"wsk", []string{"--batch", "32"}, 3},
	{"frames", nil, 1},
	{"frames", nil, 3},
	{"udp", nil, 1},
	{"sendmmsg", nil, 3},
	{"gso", nil, 1},
	{"packet", nil, 3},
}

// relayReceivers are the engines of recv.
var relayReceivers = []struct {
	engine string
	needs  testenv.Capability
	open   func(ctx context.Context, at *testenv.Host, local netip.AddrPort, sink *recv.Sink) (recv.Engine, error)
}{
	{"udp", 0, func(_ context.Context, at *testenv.Host, local netip.AddrPort, sink *recv.Sink) (recv.Engine, error) {
		return recv.OpenUDP(netns.Borrow(at.NS.FD()), local, sink)
	}},
	{"wsk", testenv.XDPProgram, func(ctx context.Context, at *testenv.Host, local netip.AddrPort, sink *recv.Sink) (recv.Engine, error) {
		return recv.OpenWSK(ctx, at.NS.FD(), []string{at.If.Name()}, local, sink, slog.New(slog.DiscardHandler))
	}},
	{"xdp", testenv.XDPProgram, func(_ context.Context, at *testenv.Host, local netip.AddrPort, sink *recv.Sink) (recv.Engine, error) {
		return recv.OpenXDP(netns.Borrow(at.NS.FD()), []string{at.If.Name()}, local, sink)
	}},
}

// A path that loses, doubles, reorders, delays and changes packets by a script is reported exactly: of whichever engine sends and
// whichever counts, over both versions of IP, with the smallest frames and with the largest. Of the receivers one alone meets
// every sender, and each pair meets both versions and both sizes in two of the four ways, unless WSKXDP_RELAY says how many packets
// there shall be (1000000 for the real thing): then each meets each in all of them.
func TestRelay(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	count, window, rate, all := 2_000, 256, "20k", false
	if text := os.Getenv("WSKXDP_RELAY"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 200_000 {
			t.Fatalf("WSKXDP_RELAY=%s is no number of at least 200000", text)
		}
		count, window, rate, all = n, defaultWindow, "10k", true // more than this and the relay falls behind beside other work
	}
	for _, name := range engineNames {
		// Live frames need an XDP program at the relay, which takes packets off there: TestBlastXDP has them counted.
		if name != "xdp" && !slices.ContainsFunc(relaySenders, func(s relaySender) bool { return s.engine == name }) {
			t.Errorf("engine %s has no row", name)
		}
	}
	for i, to := range relayReceivers {
		for j, from := range relaySenders {
			if i > 0 && j > 0 && !all {
				continue
			}
			for k, c := range []struct {
				is4  bool
				size int
			}{{true, 64}, {true, 1518}, {false, 1518}, {false, 84}} {
				if !all && k%2 != (i+j)%2 {
					continue
				}
				t.Run(fmt.Sprintf("%s%v to %s/IPv4=%v/%d", from.engine, from.flags, to.engine, c.is4, c.size), func(t *testing.T) {
					testenv.Require(t, to.needs)
					if to.engine == "xdp" {
						testenv.RequireKernel(t, 5, 12, "BPF_CMPXCHG")
					}
					sink, err := recv.NewSink(window, recv.VerifyPayload)
					if err != nil {
						t.Fatal(err)
					}
					p := misbehaving{count: count, window: uint64(window), arrived: func() uint64 { return sink.Totals().Packets }}
					r := testenv.NewRelayT(t, p.script)
					host := r.B.IPv6()
					if c.is4 {
						host = r.B.IPv4()
					}
					local := netip.AddrPortFrom(host, testPort)
					engine, err := to.open(timeout(t), r.B, local, sink)
					if err != nil {
						t.Fatal(err)
					}
					defer engine.Close()
					control, err := recv.Listen(netns.Borrow(r.B.NS.FD()), local, sink, engine, 50*time.Millisecond)
					if err != nil {
						t.Fatal(err)
					}
					defer control.Close()
					args := []string{"blast", fmt.Sprintf("--netns=/proc/self/fd/%d", r.A.NS.FD()), local.String(), "--engine", from.engine,
						"-n", fmt.Sprint(count * from.flows), "-d", "0", "-r", rate, "--flows", fmt.Sprint(from.flows), "-s", fmt.Sprint(c.size),
						"--payload", "text:some words ", "--peer", "--json", "-q"}
					res := cli(testenv.Context(t, 10*time.Minute), append(args, from.flags...)...)
					res.want(t, 0)
					doc := decode[blast.Report](t, res)
					if doc.Peer == nil || doc.Totals.Completed != uint64(count*from.flows) {
						t.Fatalf("%v", res)
					}
					want := p.want(uint64(count * from.flows))
					if is := essence(doc.Peer); is != want || len(doc.Peer.Drops) > 0 {
						t.Errorf("reported %+v\nwant     %+v\ndrops %v", is, want, doc.Peer.Drops)
					}
					if doc.Peer.Engine != to.engine || doc.Peer.Delay == nil || uint64(doc.Peer.Delay.Count) != want.Received {
						t.Errorf("%+v", doc.Peer)
					}
				})
			}
		}
	}
}

// classes are what the packets of a run became.
type classes struct {
	Received, Lost, Duplicate, Reordered, Extent, Late, Corrupt, Foreign, Refused uint64
	Balanced                                                                      bool
}

func essence(r *peer.Report) classes {
	return classes{r.Received, r.Lost, r.Duplicate, r.Reordered, r.Extent, r.Late, r.Corrupt, r.Foreign, r.Refused, r.Balanced}
}

// misbehaving is the script of a path. Of the first stream it loses 7 packets, doubles 5, moves 11 back by 3 places, delays 2 past
// the receiver's window and changes 3, each in a way that the checksum of UDP does not show; and it invents 4. Other streams pass.
// It lets no more be under way than the receiver has room for, and the word of the sender that all was sent, as all that is no
// packet of a run, only when the receiver has taken everything: what is lost here is lost by the script.
type misbehaving struct {
	count   int // packets of the stream
	window  uint64
	arrived func() uint64

	plan   map[uint64]fate     // made with the first packet
	held   map[uint64][][]byte // by the number behind which they go
	passed atomic.Uint64       // to the receiver's port
	seen   uint64              // by the receiver at the last look, which with engine xdp is one into the kernel
}

type fate uint8

const (
	lose fate = iota + 1
	double
	move
	delay
	change
)

var fates = map[fate]int{lose: 7, double: 5, move: 11, delay: 2, change: 3}

const invented = 4

// draw spreads the fates over the stream, none near another, the beginning and the end left out.
func (p *misbehaving) draw() {
	p.plan, p.held = map[uint64]fate{}, map[uint64][][]byte{}
	var list []fate
	for _, f := range []fate{delay, lose, double, move, change} {
		for range fates[f] {
			list = append(list, f)
		}
	}
	first := uint64(20)
	step := (uint64(p.count) - p.window - 2*first) / uint64(len(list))
	for i, f := range list { // those delayed first, so that all of the window is behind them
		p.plan[first+uint64(i)*step] = f
	}
}

// want is what the receiver has to say of a run of so many packets.
func (p *misbehaving) want(all uint64) classes {
	n := func(f fate) uint64 { return uint64(fates[f]) }
	return classes{
		Received: all - n(lose) - n(delay) - n(change), Lost: n(lose) + n(change), Duplicate: n(double), Reordered: n(move), Extent: 3,
		Late: n(delay), Corrupt: n(change), Foreign: invented, Balanced: true,
	}
}

func (p *misbehaving) script(frame []byte, pass func([]byte) error) error {
	payload := payloadOf(frame)
	if payload == nil {
		if err := p.await(0); err != nil {
			return err
		}
		return pass(frame)
	}
	s, ok := stamp.Parse(payload)
	if !ok {
		return fmt.Errorf("no stamp: %x", payload)
	}
	if s.Sequence%64 == 0 || p.plan[s.Sequence] != 0 {
		if _, err := testenv.Decode(frame); err != nil {
			return fmt.Errorf("the sender made a bad frame: %w", err)
		}
	}
	var err error
	send := func(frames ...[]byte) error {
		for _, f := range frames {
			if err := p.await(underWay); err != nil {
				return err
			}
			p.passed.Add(1)
			if err := pass(f); err != nil {
				return err
			}
		}
		return nil
	}
	if s.Stream != 0 {
		return send(frame)
	}
	if p.plan == nil {
		p.draw()
		for range invented {
			other := slices.Clone(frame)
			alter(other[len(frame)-len(payload):], 0, 2)
			if err := send(other); err != nil {
				return err
			}
		}
	}
	switch p.plan[s.Sequence] {
	case lose:
	case double:
		err = send(frame, frame)
	case move:
		p.held[s.Sequence+3] = append(p.held[s.Sequence+3], frame)
	case delay:
		p.held[s.Sequence+p.window+1] = append(p.held[s.Sequence+p.window+1], frame)
	case change:
		at := 6 // a number that was never sent
		if len(payload) >= stamp.Size+4 {
			at = stamp.Size
		}
		alter(payload, at, len(payload)/2*2-2)
		err = send(frame)
	default:
		err = send(frame)
	}
	if err != nil {
		return err
	}
	late := p.held[s.Sequence]
	delete(p.held, s.Sequence)
	return send(late...)
}

// underWay is how many packets there may be between here and the receiver: its rings have room for more.
const underWay = 512

// payloadOf is what a frame has for the receiver's port, nil where it is something else.
func payloadOf(frame []byte) []byte {
	at := 14 + 20
	switch {
	case len(frame) > at+8 && frame[12] == 0x08 && frame[13] == 0 && frame[14] == 0x45 && frame[23] == 17:
	case len(frame) > at+28 && frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == 17:
		at += 20
	default:
		return nil
	}
	if port, length := int(frame[at+2])<<8+int(frame[at+3]), int(frame[at+4])<<8+int(frame[at+5]); port == testPort && length >= 8 && at+length <= len(frame) {
		return frame[at+8 : at+length]
	}
	return nil
}

// await waits until no more than so many packets are on their way to the receiver.
func (p *misbehaving) await(most uint64) error {
	if p.seen+most >= p.passed.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience(time.Minute))
	defer cancel()
	return testenv.Poll(ctx, "the receiver to take what was passed", func() (bool, error) {
		p.seen = p.arrived()
		return p.seen+most >= p.passed.Load(), nil
	})
}

// alter changes the word at one even place, and that at another so that their sum, as checksums have it, stays.
func alter(b []byte, at, balance int) {
	const by = 0x4000
	for place, n := range map[int]uint32{at: by, balance: 0xffff - by} {
		sum := uint32(b[place])<<8 + uint32(b[place+1]) + n
		sum += sum >> 16
		b[place], b[place+1] = byte(sum>>8), byte(sum)
	}
}
