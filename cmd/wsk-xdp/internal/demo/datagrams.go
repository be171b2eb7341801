// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/send"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// What the datagrams ask for, and what is looked for at the other end.
const (
	port    = 9000
	askTOS  = 0xb8 // DSCP EF
	askTTL  = 42
	oneSend = 5 * time.Second
)

// Sizes of payloads: empty, odd, the largest that fits a frame, one more, the largest there is.
var (
	sizes4 = []int{0, 1, 17, 1472, 1473, wsk.MaxPayload4}
	sizes6 = []int{0, 1, 17, 1452, 1453, wsk.MaxPayload6}
)

// open opens a session from A that refuses the slow path.
func (d *demo) open(ctx context.Context, to netip.AddrPort, change func(*session.Options)) (*session.Session, error) {
	opts := session.Options{NetNS: d.lab.A.NS.FD(), Destination: to, Mode: xdp.ModeCopy, Require: session.RequireAFXDP}
	if change != nil {
		change(&opts)
	}
	return session.Open(ctx, opts)
}

// payloadOf is a payload that tells its size and place from every other.
func payloadOf(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + size)
	}
	return b
}

// neighbour sends to a host whose link-layer address has not been asked for yet.
func (d *demo) neighbour(ctx context.Context) (o outcome, err error) {
	to := netip.AddrPortFrom(d.lab.B.IPv4(), port)
	rx, err := testenv.NewUDPReceiver(d.lab.B.NS, to, testenv.UDPReceiverOptions{})
	if err != nil {
		return o, err
	}
	defer rx.Close()
	s, err := d.open(ctx, to, nil)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	if s.Way.MAC != nil {
		return o, fmt.Errorf("%v is in the neighbour table before anything was sent", to.Addr())
	}
	var times []int64
	send.Run(ctx, d.sendConfig(s, to, payloadOf(8), 2), func(r send.Result) {
		times = append(times, r.Nanoseconds)
		err = errors.Join(err, r.NTSTATUS().Err())
	})
	if err == nil {
		_, err = rx.Wait(ctx, 2)
	}
	if err != nil {
		return o, err
	}
	o = outcome{counted: true, sent: 2, completed: 2, received: 2}
	o.text = fmt.Sprintf("the first send waited for the answer and completed after %s, the second after %s",
		units.Nanoseconds(times[0]), units.Nanoseconds(times[1]))
	return o, nil
}

func (d *demo) sendConfig(s *session.Session, to netip.AddrPort, payload []byte, count int) send.Config {
	is4 := to.Addr().Is4()
	control := wsk.AppendTOS(wsk.AppendTTL(nil, is4, askTTL), is4, askTOS)
	return send.Config{
		Socket: s.Sockets[0], Remote: s.Remote(to.Port(), to.Addr()), Control: control, Payload: payload, Count: count, Timeout: oneSend,
	}
}

func (d *demo) ipv4(ctx context.Context) (outcome, error) {
	return d.datagrams(ctx, d.lab.A.IPv4(), d.lab.B.IPv4(), sizes4)
}

func (d *demo) ipv6(ctx context.Context) (outcome, error) {
	return d.datagrams(ctx, d.lab.A.IPv6(), d.lab.B.IPv6(), sizes6)
}

// datagrams sends one datagram of each size and verifies what the kernel's UDP stack delivers, and every frame on the
// way.
func (d *demo) datagrams(ctx context.Context, from, dst netip.Addr, sizes []int) (o outcome, err error) {
	to := netip.AddrPortFrom(dst, port)
	rx, err := testenv.NewUDPReceiver(d.lab.B.NS, to, testenv.UDPReceiverOptions{})
	if err != nil {
		return o, err
	}
	defer rx.Close()
	capture, err := testenv.NewCapture(d.lab.B.If, testenv.CaptureOptions{IncomingOnly: true})
	if err != nil {
		return o, err
	}
	defer capture.Close()
	s, err := d.open(ctx, to, func(opts *session.Options) { opts.Source = netip.AddrPortFrom(from, 0) })
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	for _, size := range sizes {
		send.Run(ctx, d.sendConfig(s, to, payloadOf(size), 1), func(r send.Result) {
			if r.NTSTATUS() != wsk.STATUS_SUCCESS || r.Bytes != uint64(size) {
				err = errors.Join(err, fmt.Errorf("%d bytes: %s, %d bytes sent", size, r.Status, r.Bytes))
			}
		})
	}
	if err != nil {
		return o, err
	}
	got, err := rx.Wait(ctx, len(sizes))
	if err != nil {
		return o, err
	}
	for i, size := range sizes {
		if err := compare(got[i], payloadOf(size), s.Locals[0]); err != nil {
			return o, fmt.Errorf("datagram of %d bytes: %w", size, err)
		}
	}
	frames, err := checkFrames(ctx, capture, len(sizes))
	if err != nil {
		return o, err
	}
	n := uint64(len(sizes))
	o = outcome{counted: true, sent: n, completed: n, received: n}
	o.text = fmt.Sprintf("%d datagrams of %d to %s bytes from %v: payload, TOS %#x, TTL %d and source as sent; %d frames, all checksums right",
		len(sizes), sizes[0], units.Grouped(uint64(sizes[len(sizes)-1])), from, askTOS, askTTL, frames)
	return o, nil
}

// compare compares what arrived with what was sent.
func compare(got testenv.Datagram, payload []byte, from netip.AddrPort) error {
	switch {
	case !bytes.Equal(got.Payload, payload):
		return fmt.Errorf("payload of %d bytes differs from the %d sent", len(got.Payload), len(payload))
	case got.TOS != askTOS:
		return fmt.Errorf("TOS %#x, asked for %#x", got.TOS, askTOS)
	case got.TTL != askTTL:
		return fmt.Errorf("TTL %d, asked for %d", got.TTL, askTTL)
	case got.Source != from:
		return fmt.Errorf("source %v, bound to %v", got.Source, from)
	}
	return nil
}

// checkFrames decodes every captured frame with an independent decoder, which checks all lengths and checksums, and
// returns how many of them were UDP or fragments of it.
func checkFrames(ctx context.Context, capture *testenv.Capture, datagrams int) (frames int, err error) {
	err = testenv.Poll(ctx, fmt.Sprintf("%d whole datagrams in the capture", datagrams), func() (bool, error) {
		var whole testenv.Reassembler
		n := 0
		frames = 0
		for _, f := range capture.Frames() {
			p, err := testenv.Decode(f.Data)
			if err != nil {
				return false, err
			}
			if !p.UDP && !p.Fragment {
				continue // neighbour discovery and the like
			}
			frames++
			if p, err = whole.Add(f.Data); err != nil {
				return false, err
			}
			if p != nil {
				n++
			}
		}
		return n == datagrams && whole.Pending() == 0, nil
	})
	return frames, err
}
