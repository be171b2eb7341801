// SPDX-License-Identifier: Apache-2.0

package blast

import "fmt"

// Bytes of headers, in the order of the wire.
const (
	ethernetHeader = 14
	ipv4Header     = 20
	ipv6Header     = 40
	fragmentHeader = 8 // IPv6 extension header
	udpHeader      = 8
	fcs            = 4
	vlanTag        = 4
	minFrame       = 64 // with FCS: shorter frames are padded by the NIC
	preambleAndGap = 20 // preamble, start delimiter and inter-frame gap: what L1 adds
)

func ipHeader(is4 bool) int {
	if is4 {
		return ipv4Header
	}
	return ipv6Header
}

// Overhead is what the headers of a datagram take of the MTU.
func Overhead(is4 bool) int { return ipHeader(is4) + udpHeader }

// PayloadOfFrame is the UDP payload of a frame of the given size, FCS included.
func PayloadOfFrame(is4 bool, frame int) (int, error) {
	overhead := ethernetHeader + ipHeader(is4) + udpHeader + fcs
	if frame < overhead || frame < minFrame {
		return 0, fmt.Errorf("a frame of %d bytes is too small: the least is %d (Ethernet, IP, UDP and FCS)", frame, MinFrame(is4))
	}
	return frame - overhead, nil
}

// MinFrame is the smallest frame, FCS included: 64, or 66 with IPv6 headers in it.
func MinFrame(is4 bool) int { return max(minFrame, ethernetHeader+ipHeader(is4)+udpHeader+fcs) }

// LeastFrame is the smallest frame that holds so many bytes of payload, FCS included.
func LeastFrame(is4 bool, payload int) int {
	return max(minFrame, ethernetHeader+ipHeader(is4)+udpHeader+payload+fcs)
}

// Wire is what one datagram is on the wire.
type Wire struct {
	Frames  int
	L2Bytes int // frames with FCS and padding
	L1Bytes int // with preamble and gap too
}

// OnWire says what a datagram with so many payload bytes becomes on a path with this MTU and so many VLAN tags, fragments included.
func OnWire(is4 bool, payload, mtu, tags int) Wire {
	var w Wire
	ip := ipHeader(is4)
	add := func(ipPayload int) {
		frame := max(ethernetHeader+tags*vlanTag+ip+ipPayload+fcs, minFrame)
		w.Frames++
		w.L2Bytes += frame
		w.L1Bytes += frame + preambleAndGap
	}
	total := udpHeader + payload
	if total <= mtu-ip {
		add(total)
		return w
	}
	extra := 0
	if !is4 {
		extra = fragmentHeader
	}
	step := (mtu - ip - extra) &^ 7
	if step <= 0 {
		return w
	}
	for rest := total; rest > 0; rest -= step {
		// The last fragment may be longer than a step as long as it fits.
		if rest <= mtu-ip-extra {
			add(rest + extra)
			break
		}
		add(step + extra)
	}
	return w
}
