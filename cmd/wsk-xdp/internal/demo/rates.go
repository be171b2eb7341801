// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/send"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// peerDatagrams go to the AF_XDP peer.
const peerDatagrams = 64

// peer sends to an AF_XDP receiver that shares no code with this one (asavie/xdp).
func (d *demo) peer(ctx context.Context) (o outcome, err error) {
	if d.Rootless {
		return o, errNeedsRoot
	}
	peer, err := testenv.NewXDPPeer(d.lab.B.If, testenv.XDPPeerOptions{})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, peer.Close()) }()
	to := netip.AddrPortFrom(d.lab.B.IPv4(), port)
	s, err := d.open(ctx, to, nil)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	payload := payloadOf(1000)
	send.Run(ctx, d.sendConfig(s, to, payload, peerDatagrams), func(r send.Result) { err = errors.Join(err, r.NTSTATUS().Err()) })
	if err != nil {
		return o, err
	}
	frames, err := peer.Wait(ctx, peerDatagrams)
	if err != nil {
		return o, err
	}
	for _, f := range frames {
		p, err := testenv.Decode(f.Data)
		if err != nil {
			return o, err
		}
		if !bytes.Equal(p.Payload, payload) || p.TOS != askTOS || p.TTL != askTTL || p.DestinationPort != port {
			return o, fmt.Errorf("the peer got another frame than was sent: %d bytes, TOS %#x, TTL %d, port %d", len(p.Payload), p.TOS,
				p.TTL, p.DestinationPort)
		}
	}
	o = outcome{counted: true, sent: peerDatagrams, completed: peerDatagrams, received: uint64(len(frames))}
	o.text = fmt.Sprintf("%d frames received by asavie/xdp over AF_XDP, decoded, as sent", len(frames))
	return o, nil
}

// The blast: gentle enough for a receiver on the same small machine.
const (
	blastRate  = 50_000
	blastCount = 50_000
	blastBatch = 8
)

// blast sends at a rate and counts at the receiver.
func (d *demo) blast(ctx context.Context) (o outcome, err error) {
	to := netip.AddrPortFrom(d.lab.B.IPv4(), port+1)
	rx, err := testenv.NewUDPReceiver(d.lab.B.NS, to, testenv.UDPReceiverOptions{CountOnly: true})
	if err != nil {
		return o, err
	}
	defer rx.Close()
	s, err := d.open(ctx, to, nil)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	sender := blast.NewSender(s.Sockets, s.Remote(to.Port(), to.Addr()), nil, payloadOf(18), blastBatch)
	config := blast.Config{Rate: blast.PPS(blastRate), Count: blastCount, Batch: blastBatch, InFlight: 256, Drain: time.Second}
	res, err := blast.Run(ctx, config, sender)
	if err != nil {
		return o, err
	}
	if res.Interrupted {
		return o, context.Cause(ctx)
	}
	if slow := s.Info().SlowSent; slow > 0 {
		return o, fmt.Errorf("%d sends took the slow path", slow)
	}
	if res.Completed+res.Failed != res.Submitted || res.Unfinished > 0 {
		return o, fmt.Errorf("%d submitted, %d completed, %d failed, %d IRPs unfinished", res.Submitted, res.Completed, res.Failed, res.Unfinished)
	}
	// What the receiving socket had no room for is counted there, and told with the next datagram that is received.
	wait, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	waited := testenv.Poll(wait, "every completed datagram at the receiver", func() (bool, error) {
		return rx.Count()+rx.Lost() >= res.Completed, nil
	})
	got, lost := rx.Count(), rx.Lost()
	o = outcome{counted: true, sent: res.Submitted, completed: res.Completed, received: got}
	o.text = fmt.Sprintf("%s submitted at %s, %s completed, %s received, completion p50 %s p99 %s", units.Grouped(res.Submitted),
		units.PacketRate(float64(res.Submitted)/res.Sending.Seconds()), units.Grouped(res.Completed), units.Grouped(got),
		units.Nanoseconds(res.Latency.P50), units.Nanoseconds(res.Latency.P99))
	if lost > 0 {
		o.text += fmt.Sprintf(", %s dropped by the receiver's own full buffer", units.Grouped(lost))
	}
	if res.Failed > 0 {
		o.text += fmt.Sprintf(", %s refused by the device", units.Grouped(res.Failed))
	}
	if waited != nil || got+lost != res.Completed {
		return o, fmt.Errorf("%d completed but %d received and %d lost at the receiver", res.Completed, got, lost)
	}
	return o, nil
}

// absentTimeout bounds the wait for a neighbour that is not there; the default is 3 s.
const absentTimeout = 300 * time.Millisecond

// failures shows that what can't be sent ends in a status of its own and in time.
func (d *demo) failures(ctx context.Context) (o outcome, err error) {
	absent := netip.AddrPortFrom(netip.MustParseAddr("10.77.0.99"), port)
	for _, c := range []struct {
		what string
		to   netip.AddrPort
		size int
		want wsk.NTSTATUS
	}{
		{"nobody answers", absent, 8, wsk.STATUS_HOST_UNREACHABLE},
		{"no route", netip.MustParseAddrPort("192.0.2.1:9"), 8, wsk.STATUS_NETWORK_UNREACHABLE},
		{"too big with DF", netip.AddrPortFrom(d.lab.B.IPv4(), port), 1473, wsk.STATUS_INVALID_BUFFER_SIZE},
	} {
		one, err := d.failing(ctx, c.to, c.size)
		if err != nil {
			return o, fmt.Errorf("%s: %w", c.what, err)
		}
		if one.NTSTATUS() != c.want || one.Bytes != 0 {
			return o, fmt.Errorf("%s: %s with %d bytes, expected %v", c.what, one.Status, one.Bytes, c.want)
		}
		if o.text != "" {
			o.text += "; "
		}
		o.text += fmt.Sprintf("%s: %s after %s", c.what, one.Status, units.Nanoseconds(one.Nanoseconds))
	}
	return o, nil
}

func (d *demo) failing(ctx context.Context, to netip.AddrPort, size int) (one send.Result, err error) {
	s, err := d.open(ctx, to, func(opts *session.Options) {
		opts.NeighbourTimeout, opts.DontFragment, opts.Require = absentTimeout, true, session.RequireNothing
	})
	if err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	send.Run(ctx, d.sendConfig(s, to, payloadOf(size), 1), func(r send.Result) { one = r })
	return one, nil
}
