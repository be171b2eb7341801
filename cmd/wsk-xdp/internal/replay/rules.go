// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/capture"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// Rules say which records can be sent on an interface, and what is written over in them.
type Rules struct {
	// MTU is the interface's: the most bytes behind the Ethernet header, or behind the VLAN tag.
	MTU int
	// Source and Destination are written over the MACs of every frame, where they are not nil.
	Source, Destination *frame.MAC
}

// MaxFrame is the longest frame that fits a chunk of AF_XDP, whatever the MTU is.
const MaxFrame = 4096

// Bytes of an Ethernet frame.
const (
	header   = 14
	tag      = 4
	fcs      = 4
	least    = 64 // with FCS: shorter frames are padded by a NIC
	preamble = 20 // and the gap between frames: what L1 adds
)

// fault is why a record can't be sent.
type fault uint8

const (
	none      fault = iota
	cut             // the capture has not all of it
	long            // more than the interface takes
	short           // less than an Ethernet header
	otherLink       // no Ethernet
	faults
)

// judge says whether a record can be sent.
func (r *Rules) judge(rec *capture.Record) fault {
	switch {
	case rec.Link != capture.LinkEthernet:
		return otherLink
	case rec.Cut():
		return cut
	case len(rec.Data) < header:
		return short
	case len(rec.Data) > r.longest(rec.Data):
		return long
	}
	return none
}

// longest is how long a frame that begins like this one may be. One tag is not of the MTU, as the kernel has it.
func (r *Rules) longest(frame []byte) int {
	n := r.MTU + header
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x8100, 0x88a8, 0x9100:
		n += tag
	}
	return min(n, MaxFrame)
}

// isGroup is whether a frame goes to several hosts.
func (r *Rules) isGroup(f []byte) bool {
	if r.Destination != nil {
		return r.Destination.IsGroup()
	}
	return f[0]&1 != 0
}

// rewrite writes over the MACs of a frame.
func (r *Rules) rewrite(f []byte) {
	if r.Destination != nil {
		copy(f, r.Destination[:])
	}
	if r.Source != nil {
		copy(f[6:], r.Source[:])
	}
}
