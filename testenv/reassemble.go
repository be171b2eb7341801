// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrOverlap: two fragments of a datagram cover the same bytes, or its end is in two places.
var ErrOverlap = errors.New("overlapping fragments")

// Reassembler puts datagrams together and judges them: besides all that Decode checks, fragments must not overlap,
// only the last may have a length that is no multiple of 8, and all must agree in TOS, TTL and link layer addresses.
// It keeps incomplete datagrams for ever and is meant for the frames of one test. It is for one goroutine.
type Reassembler struct {
	pending map[fragmentKey][]*Packet
}

type fragmentKey struct {
	source, destination netip.Addr
	id                  uint32
	protocol            uint8
}

// Add takes one frame. It returns the datagram that the frame completes or is, nil when more fragments are needed,
// and an error for a frame that is wrong. A datagram put together has the headers of its first fragment, Fragment
// false, and the whole payload.
func (r *Reassembler) Add(frame []byte) (*Packet, error) {
	p, err := Decode(frame)
	if err != nil || !p.Fragment {
		return p, err
	}
	if p.MoreFragments && len(p.IPPayload)%8 != 0 {
		return nil, fmt.Errorf("%w: fragment at %d has %d bytes and is not the last",
			ErrMalformed, p.FragmentOffset, len(p.IPPayload))
	}
	key := fragmentKey{p.Source, p.Destination, p.ID, p.Protocol}
	if r.pending == nil {
		r.pending = map[fragmentKey][]*Packet{}
	}
	parts := append(r.pending[key], p)
	slices.SortStableFunc(parts, func(a, b *Packet) int { return a.FragmentOffset - b.FragmentOffset })
	r.pending[key] = parts
	next := 0
	for i, part := range parts {
		last := i == len(parts)-1
		switch {
		case part.FragmentOffset < next:
			return nil, fmt.Errorf("%w: id %#x: offset %d after byte %d", ErrOverlap, p.ID, part.FragmentOffset, next)
		case !part.MoreFragments && !last:
			return nil, fmt.Errorf("%w: id %#x: data behind the last fragment", ErrOverlap, p.ID)
		case part.FragmentOffset > next, last && part.MoreFragments:
			return nil, nil
		}
		next += len(part.IPPayload)
	}
	delete(r.pending, key)
	return assemble(parts)
}

// Pending returns the number of datagrams that lack fragments.
func (r *Reassembler) Pending() int { return len(r.pending) }

func assemble(parts []*Packet) (*Packet, error) {
	whole := *parts[0]
	var payload []byte
	for _, p := range parts {
		if p.TOS != whole.TOS || p.TTL != whole.TTL || p.SourceMAC.String() != whole.SourceMAC.String() ||
			p.DestinationMAC.String() != whole.DestinationMAC.String() {
			return nil, fmt.Errorf("%w: fragments of id %#x differ in TOS, TTL or MAC addresses", ErrMalformed, whole.ID)
		}
		payload = append(payload, p.IPPayload...)
	}
	whole.Fragment, whole.MoreFragments, whole.IPPayload = false, false, payload
	return &whole, whole.decodeTransport(payload)
}

// DecodeAll decodes frames in order and returns the UDP datagrams among them, put together from fragments. It fails
// on the first frame that is wrong, and when a datagram stays incomplete. What is not UDP is checked and left out.
func DecodeAll(frames []Frame) ([]*Packet, error) {
	var r Reassembler
	var out []*Packet
	for n, f := range frames {
		p, err := r.Add(f.Data)
		if err != nil {
			return out, fmt.Errorf("frame %d: %w", n, err)
		}
		if p != nil && p.UDP {
			out = append(out, p)
		}
	}
	if n := r.Pending(); n > 0 {
		return out, fmt.Errorf("%w: %d datagrams lack fragments", ErrMalformed, n)
	}
	return out, nil
}

// IsUDP matches frames that carry UDP to the port, for Capture.Wait; port 0 matches every port. Fragments behind the
// first match only port 0.
func IsUDP(port uint16) func(Frame) bool {
	return func(f Frame) bool {
		p, err := Decode(f.Data)
		if p.Version == 0 || p.Protocol != 17 {
			return false
		}
		if port == 0 {
			return true
		}
		if p.Fragment && p.FragmentOffset == 0 && len(p.IPPayload) >= 4 {
			return uint16(p.IPPayload[2])<<8|uint16(p.IPPayload[3]) == port
		}
		// A wrong checksum must not hide a frame from the test that looks for it.
		return p.UDP && p.DestinationPort == port && (err == nil || errors.Is(err, ErrBadChecksum))
	}
}
