// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/flows"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/frames"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// part is what one lane of a run sends: of its flows every so many-th, so that no two lanes have a stream in common.
type part struct {
	plan  wskliveLivePlan
	sizes []wskliveLiveSize
	frame []byte // the largest, with nothing in its headers and its stamp
	// headers is how much of a frame is not payload.
	headers int
}

// stamps says what the program calls the kinds of stamps.
var stamps = map[blast.StampKind]wskliveLiveStamp{
	blast.StampNone: wskliveLiveStampWSKLIVE_NONE, blast.StampWSK: wskliveLiveStampWSKLIVE_WSK, blast.StampPktgen: wskliveLiveStampWSKLIVE_PKTGEN,
}

// LanesFit says why so many flows can't be shared out between so many lanes.
func LanesFit(n uint64, lanes int) error {
	switch {
	case n < uint64(lanes):
		return fmt.Errorf("flows are shared out between the processors, and %d are too few for %d", n, lanes)
	case n > stamp.Streams && stamp.Streams%lanes != 0:
		return fmt.Errorf("more than %d flows are shared out between 1, 2, 4, 8 … processors, not between %d", stamp.Streams, lanes)
	}
	return nil
}

// newPart is the part of a lane. A run of one lane has one part, which is all of it.
func newPart(p frames.Plan, lane, lanes int) (*part, error) {
	t, err := p.Template(0)
	if err != nil {
		return nil, err
	}
	out := &part{headers: t.HeaderLen()}
	out.frame = make([]byte, out.headers+len(p.Payload))
	t.PutHeaders(out.frame, len(p.Payload), 0, frame.Sum{})
	copy(out.frame[out.headers+p.Stamp.Size():], p.Payload[min(p.Stamp.Size(), len(p.Payload)):])
	q := &out.plan
	q.Stamp, q.Run = uint32(stamps[p.Stamp]), uint32(p.Run)
	q.Lane, q.Stride = uint32(lane), uint32(lanes)
	q.Streams = uint32(min(p.Flows, stamp.Streams))
	q.Seed = p.Space.Seed + uint64(lane)<<32
	if p.Random {
		q.Random = 1
	}
	out.setHeader(t.Is6())
	out.setFlows(&p)
	for _, size := range p.Sizes {
		var sum frame.Sum
		sum.Add(p.Payload[p.Stamp.Size():size])
		out.sizes = append(out.sizes, wskliveLiveSize{Length: uint32(out.headers + size), Sum: inMemory(sum)})
	}
	q.Sizes = uint32(len(out.sizes))
	return out, nil
}

// Bytes of headers.
const (
	ipv4Len = 20
	ipv6Len = 40
	udpLen  = 8
)

// setHeader clears what the program writes, and keeps and sums up the rest.
func (o *part) setHeader(v6 bool) {
	q := &o.plan
	ip := o.frame[o.headers-udpLen-ipv4Len : o.headers-udpLen]
	if v6 {
		q.V6 = 1
		ip = o.frame[o.headers-udpLen-ipv6Len : o.headers-udpLen]
		clear(ip[4:6])
		clear(ip[8:])
	} else {
		clear(ip[2:6])
		clear(ip[10:])
		var sum frame.Sum
		sum.Add(ip)
		q.IpSum = inMemory(sum)
	}
	clear(o.frame[o.headers-udpLen : o.headers])
	q.IpAt = uint32(o.headers - udpLen - len(ip))
	var sum frame.Sum
	sum.AddUint16(uint16(frame.ProtocolUDP))
	q.UdpSum = inMemory(sum)
	var words [len(q.Header) * 8]byte
	copy(words[:], o.frame[:o.headers])
	for i := range q.Header {
		q.Header[i] = binary.NativeEndian.Uint64(words[8*i:])
	}
}

// inMemory is a sum of words as this machine reads them.
func inMemory(sum frame.Sum) uint32 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], sum.Fold())
	return uint32(binary.NativeEndian.Uint16(b[:]))
}

// setFlows turns flow numbers into steps: see flows.Space.
func (o *part) setFlows(p *frames.Plan) {
	q := &o.plan
	lane, lanes := uint64(q.Lane), uint64(q.Stride)
	line := p.Space.Line()
	q.All = line.Size
	q.Flows = (p.Flows-lane-1)/lanes + 1
	q.Step = mulMod(line.Step, lanes, line.Size)
	q.First = line.At(lane)
	q.ToHigh, q.ToLow = number(p.Space.Addresses.At(0))
	q.FromHigh, q.FromLow = number(p.Sources.At(0))
	q.ToPort, q.FromPort = p.Space.Ports.At(0), p.Ports.At(0)
	base := &q.Base
	base.Address = min(p.Space.Addresses.Len(), flows.Most)
	base.Port = p.Space.Ports.Len()
	base.Source = min(p.Sources.Len(), flows.Most)
	base.SourcePort = max(p.Space.Sources/p.Sources.Len(), 1)
	q.Up, q.Down, q.Start = digits(q.Step, base), digits(q.All-q.Step, base), digits(q.First, base)
}

// steps is what each byte of a flow's number adds to its place.
func (o *part) steps() (out [3 * 256]uint64) {
	for i := range out {
		out[i] = mulMod(uint64(i&255)<<(i>>8*8), o.plan.Step, o.plan.All)
	}
	return out
}

func mulMod(a, b, size uint64) uint64 {
	hi, lo := bits.Mul64(a%size, b%size)
	_, rest := bits.Div64(hi, lo, size)
	return rest
}

// digits are those of a number, the first of them counting up first.
func digits(n uint64, base *wskliveLiveDigits) (d wskliveLiveDigits) {
	d.Address, n = n%base.Address, n/base.Address
	d.Port, n = n%base.Port, n/base.Port
	d.Source, d.SourcePort = n%base.Source, n/base.Source
	return d
}

// number is an address as a number of 128 bits; one of IPv4 is in the lowest 32.
func number(a netip.Addr) (hi, lo uint64) {
	if a.Is4() {
		b := a.As4()
		return 0, uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// pace makes the program keep a rate.
func (o *part) pace(rate blast.Rate, lanes int, slack uint64) {
	const micros = 1e15 // a second in nanoseconds, and a packet in the millionths of a rate
	q := &o.plan
	hi, lo := bits.Mul64(micros, uint64(lanes))
	interval, rest := bits.Div64(hi%uint64(rate), lo, uint64(rate))
	fraction, _ := bits.Div64(rest>>32, rest<<32, uint64(rate))
	q.Paced, q.Interval, q.Fraction, q.Slack = 1, max(interval, 1), uint32(fraction), slack
}
