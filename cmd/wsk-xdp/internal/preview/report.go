// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/frame"
)

// Schema names the form of Report.
const Schema = "wsk-xdp.blast-plan/1"

// Report is the JSON document of blast --dry-run.
type Report struct {
	host.Head
	Config blast.ConfigReport `json:"config"`
	Path   session.Path       `json:"path"`
	// Requested is what rate and duration, or the count, ask for; absent when neither says.
	Requested uint64 `json:"requested_packets,omitempty"`
	// Frames are the first ones.
	Frames []Frame `json:"frames"`
	// Capture is the file that so many packets were written to.
	Capture  string   `json:"capture_file,omitempty"`
	Captured uint64   `json:"captured_packets,omitempty"`
	Warnings []string `json:"warnings"`

	// Lines are what the start block of the run would say.
	Lines []string `json:"-"`
}

// Frame is one frame, decoded.
type Frame struct {
	// Packet counts from 0; a packet in fragments has several frames.
	Packet uint64 `json:"packet"`
	// Bytes is its size with FCS, as --size has it: 64 at least.
	Bytes          int    `json:"frame_bytes"`
	SourceMAC      string `json:"source_mac"`
	DestinationMAC string `json:"destination_mac"`
	VLANs          []int  `json:"vlan_ids,omitempty"`
	Source         string `json:"source"`
	Destination    string `json:"destination"`
	TTL            uint8  `json:"ttl"`
	TOS            uint8  `json:"tos"`
	DF             bool   `json:"df"`
	// Offset and More are of fragments.
	Offset  uint16 `json:"fragment_offset_bytes,omitempty"`
	More    bool   `json:"more_fragments,omitempty"`
	Payload int    `json:"payload_bytes"`
	// Stream and Number are those of its stamp, where that is one of ours.
	Stream *uint16 `json:"stream,omitempty"`
	Number *uint64 `json:"sequence,omitempty"`
	// Hex is what is handed on, without FCS and without the padding of short frames.
	Hex string `json:"hex"`
}

// fcs is the check sequence behind a frame, and shortest the least that is on the wire.
const (
	fcs      = 4
	shortest = 64
)

// Fill enters the first packets of a run, n at most.
func (r *Report) Fill(p Plan, n uint64) error {
	if r.Requested > 0 {
		n = min(n, r.Requested)
	}
	atOnce := func(uint64) time.Duration { return 0 }
	return p.Each(n, atOnce, time.Time{}, func(packet uint64, b []byte, _ time.Duration) error {
		r.add(packet, b)
		return nil
	})
}

// add decodes a frame of a packet.
func (r *Report) add(packet uint64, b []byte) {
	p, reason := frame.Parse(b)
	f := Frame{
		Packet: packet, Bytes: max(len(b)+fcs, shortest), SourceMAC: macText(p.SrcMAC), DestinationMAC: macText(p.DstMAC),
		Source: end(p.Src, reason), Destination: end(p.Dst, reason), TTL: p.TTL, TOS: p.TOS, DF: p.DF,
		Offset: p.FragmentOffset, More: p.MoreFragments, Payload: p.PayloadLen, Hex: hex.EncodeToString(b),
	}
	for _, tag := range p.VLANs[:p.NumVLANs] {
		f.VLANs = append(f.VLANs, int(tag.ID))
	}
	payload := p.Payload(b)
	if reason == frame.ReasonFragment && p.FragmentOffset == 0 && len(payload) >= frame.UDPLen {
		payload = payload[frame.UDPLen:] // of a fragment it is what IP carries
	}
	if one, ok := stamp.Parse(payload); ok {
		f.Stream, f.Number = &one.Stream, &one.Sequence
	}
	r.Frames = append(r.Frames, f)
}

// end is an address with its port, which only the first fragment has.
func end(a netip.AddrPort, reason frame.Reason) string {
	if reason == frame.ReasonFragment && a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

func macText(m frame.MAC) string { return strings.ToLower(m.String()) }

// shownBytes is how much of a frame people are shown.
const shownBytes = 128

// Tables are what people read.
func (r *Report) Tables() []*output.Table {
	t := &output.Table{}
	for _, line := range r.Lines {
		t.Row(line)
	}
	what := "until it is stopped"
	if r.Requested > 0 {
		what = units.Grouped(r.Requested) + " packets"
	}
	t.Row(fmt.Sprintf("dry run: nothing was sent, and nobody asked. It would be %s, of which the first are", what))
	for _, f := range r.Frames {
		t.Row(f.sentence())
		b, _ := hex.DecodeString(f.Hex)
		for at := 0; at < min(len(b), shownBytes); at += 16 {
			row := b[at:min(at+16, len(b))]
			t.Row(fmt.Sprintf("  %04x  % x", at, row))
		}
		if more := len(b) - shownBytes; more > 0 {
			t.Row(fmt.Sprintf("  and %s more (all of them in --json)", units.Plural(more, "byte")))
		}
	}
	if r.Capture != "" {
		t.Row(fmt.Sprintf("the first %s are in %s", units.Plural(int(r.Captured), "packet"), r.Capture))
	}
	return []*output.Table{t}
}

func (f *Frame) sentence() string {
	text := fmt.Sprintf("packet %d, %d B  %s > %s", f.Packet, f.Bytes, f.SourceMAC, f.DestinationMAC)
	for _, id := range f.VLANs {
		text += fmt.Sprintf(" vlan %d", id)
	}
	text += fmt.Sprintf("  %s > %s  ttl %d tos %d", f.Source, f.Destination, f.TTL, f.TOS)
	if f.DF {
		text += " df"
	}
	if f.More || f.Offset > 0 {
		text += fmt.Sprintf("  fragment from byte %d", f.Offset)
		if !f.More {
			text += ", the last"
		}
	}
	text += fmt.Sprintf("  %s", units.Plural(f.Payload, "byte"))
	if f.Number != nil {
		text += fmt.Sprintf("  stream %d number %d", *f.Stream, *f.Number)
	}
	return text
}
