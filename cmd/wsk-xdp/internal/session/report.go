// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// Path is a Way in JSON documents.
type Path struct {
	Interface   string `json:"interface,omitempty"`
	Kind        string `json:"interface_kind,omitempty"`
	Device      string `json:"afxdp_interface,omitempty"`
	VLANs       []int  `json:"vlan_ids,omitempty"`
	MTU         int    `json:"mtu_bytes,omitempty"`
	Source      string `json:"source,omitempty"`
	NextHop     string `json:"next_hop,omitempty"`
	NextHopMAC  string `json:"next_hop_mac,omitempty"`
	SlowPath    string `json:"slow_path_reason,omitempty"`
	Unreachable string `json:"error,omitempty"`
}

// Granted is what the kernel gave for one queue, in JSON documents.
type Granted struct {
	Interface      string `json:"interface"`
	Queue          int    `json:"queue"`
	Mode           string `json:"mode"`
	FallbackReason string `json:"fallback_reason,omitempty"`
	NeedWakeup     bool   `json:"need_wakeup"`
	TxRing         uint32 `json:"tx_ring_descriptors"`
	Completion     uint32 `json:"completion_ring_descriptors"`
	Budget         uint32 `json:"tx_budget_frames"`
	Chunks         uint32 `json:"tx_chunks"`
	ChunkBytes     uint32 `json:"chunk_bytes"`
	SendBuffer     int    `json:"send_buffer_bytes"`
	// PassProgram is whether an XDP program that passes everything is on the interface for zero-copy; LinkDown how many
	// milliseconds were spent waiting for its link because of that.
	PassProgram bool  `json:"pass_program"`
	LinkDown    int64 `json:"link_down_ms"`
	// Offload is who may complete checksums, Proved whether some are left to them, OffloadReason why not, or not all.
	Offload       string `json:"checksum_offload"`
	Proved        bool   `json:"checksum_offload_proved"`
	OffloadReason string `json:"checksum_offload_reason,omitempty"`
}

// ModeWord is the bind mode as the command line spells it.
func ModeWord(m xdp.Mode) string { return Mode(m).String() }

// Path describes the way.
func (s *Session) Path() Path {
	if s.WayErr != nil {
		return Path{Unreachable: s.WayErr.Error()}
	}
	w := &s.Way
	p := Path{
		Interface: w.Interface.Name, Kind: deviceKind(w.Interface), MTU: w.MTU,
		Source: addrString(w.Source), NextHop: addrString(w.Gateway),
	}
	if w.MAC != nil {
		p.NextHopMAC = w.MAC.String()
	}
	switch {
	case w.SlowReason != "":
		p.SlowPath = w.SlowReason
	case s.SlowErr != nil:
		p.SlowPath = s.SlowErr.Error()
	default:
		p.Device = w.Device.Name
	}
	for _, v := range w.VLANs {
		p.VLANs = append(p.VLANs, int(v.ID))
	}
	return p
}

func addrString(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// GrantedQueues describes what the kernel granted, queue by queue. It is never nil.
func GrantedQueues(info datapath.Info) []Granted {
	out := make([]Granted, 0, len(info.Queues))
	for _, q := range info.Queues {
		g := q.Granted
		o := Granted{
			Interface: q.Interface, Queue: q.Queue, Mode: ModeWord(g.Mode), NeedWakeup: g.NeedWakeup,
			TxRing: g.TxRing, Completion: g.CompletionRing, Budget: g.TxBudget,
			Chunks: g.TxChunks, ChunkBytes: g.ChunkSize, SendBuffer: g.SndBuf,
			Offload: g.Offload.String(),
		}
		o.Proved, o.OffloadReason = offloadProof(q)
		if g.FallbackReason != nil {
			o.FallbackReason = g.FallbackReason.Error()
		}
		for _, d := range info.Devices {
			if d.Interface == q.Interface {
				o.PassProgram, o.LinkDown = d.PassProgram, d.LinkWait.Milliseconds()
			}
		}
		out = append(out, o)
	}
	return out
}

// Header is the first lines of a command's start block: the way, and what the kernel granted on it.
func (s *Session) Header(command string, to netip.AddrPort) []string {
	if s.WayErr != nil {
		return []string{fmt.Sprintf("wsk-xdp %s %v", command, to)}
	}
	w := &s.Way
	via := w.Interface.Name + " (" + deviceKind(w.Interface)
	if w.Device.Index != w.Interface.Index {
		via += " over " + w.Device.Name
	}
	for _, v := range w.VLANs {
		via += fmt.Sprintf(", vlan %d", v.ID)
	}
	via += fmt.Sprintf(", mtu %d)", w.MTU)
	lines := []string{
		fmt.Sprintf("wsk-xdp %s %v via %s  source %s  next hop %s", command, to, via, s.sourceText(), w.NextHop()),
	}
	if s.via != "" {
		return append(lines, "  engine wsk · daemon at "+s.via+" · kernel "+host.Kernel())
	}
	queues := s.Info().Queues
	if len(queues) == 0 {
		return append(lines, "  engine wsk · kernel stack (slow path) · kernel "+host.Kernel())
	}
	g := queues[0].Granted
	numbers := make([]string, len(queues))
	for i, q := range queues {
		numbers[i] = fmt.Sprint(q.Queue)
	}
	return append(lines, fmt.Sprintf("  engine wsk · AF_XDP on %s · queue %s · %s mode · ring %d · %d frames per wake-up · "+
		"%s · kernel %s", g.Ifname, strings.Join(numbers, ","), modeText(queues), g.TxRing, g.TxBudget, s.programText(), host.Kernel()))
}

// programText says what zero-copy put on the interface.
func (s *Session) programText() string {
	for _, d := range s.Info().Devices {
		if d.PassProgram {
			return "an XDP program that passes everything is attached for it" + linkText(d)
		}
	}
	return "no XDP program needed"
}

func linkText(d datapath.DeviceInfo) string {
	if d.LinkDrops == 0 {
		return ""
	}
	return fmt.Sprintf(", the link was down for %v", d.LinkWait.Round(time.Millisecond))
}

// Sources are the source addresses of the sockets, the route's choice where a socket is bound to the wildcard.
func (s *Session) Sources() []netip.AddrPort {
	out := slices.Clone(s.Locals)
	for i, local := range out {
		if local.Addr().IsUnspecified() && s.Way.Source.IsValid() {
			out[i] = netip.AddrPortFrom(s.Way.Source, local.Port())
		}
	}
	return out
}

func (s *Session) sourceText() string {
	sources := s.Sources()
	if len(sources) == 1 {
		return sources[0].String()
	}
	return fmt.Sprintf("%v %s", sources[0].Addr(), units.Plural(len(sources), "port"))
}

func modeText(queues []datapath.QueueInfo) string {
	var words []string
	for _, q := range queues {
		if word := q.Granted.Mode.String(); len(words) == 0 || words[len(words)-1] != word {
			words = append(words, word)
		}
	}
	return strings.Join(words, "/")
}

// Warnings is everything that is not as a user of AF_XDP would hope, one line each, with what to do about it. Nothing
// falls back in silence (I11).
func (s *Session) Warnings() []string {
	if s.WayErr != nil {
		return []string{fmt.Sprintf("no way to the destination: %v", s.WayErr)}
	}
	if s.Way.elsewhere {
		return []string{daemonElsewhere + ": what is said about the way, and the sizes and rates of frames, are by the routes of this one"}
	}
	out := s.LinkWarnings()
	if s.via != "" {
		return out // the rest is about queues of this process
	}
	if s.Way.SlowReason != "" {
		return append(out, "SLOW PATH: "+s.Way.SlowReason+", so datagrams go through the kernel's own stack and not through AF_XDP")
	}
	if s.SlowErr != nil {
		return append(out,
			"SLOW PATH: AF_XDP is not to be had, so datagrams go through the kernel's own stack: "+s.SlowErr.Error(),
			"see wsk-xdp doctor "+s.Way.DeviceName()+"; --require afxdp refuses instead of falling back")
	}
	info := s.Info()
	for _, d := range info.Devices {
		if d.LinkLate {
			out = append(out, fmt.Sprintf("the link of %s went down for zero-copy and was not back after %v: datagrams wait for it (ip link show %s)",
				d.Interface, d.LinkWait.Round(time.Millisecond), d.Interface))
		}
	}
	if n := len(info.Queues); n > 0 && n < s.queues {
		out = append(out, fmt.Sprintf("%s has %s, not %d: see ethtool -l", s.Way.DeviceName(), units.Plural(n, "queue"), s.queues))
	}
	var said merged
	for _, q := range info.Queues {
		if q.Granted.FallbackReason != nil && !copyOnly(s.netns, s.Way.DeviceName()) {
			said.add(q, "works in copy mode: zero-copy was refused with "+refusal(q.Granted.FallbackReason))
		}
		if q.Granted.TxBudget <= 32 && q.Granted.Mode == xdp.ModeCopy {
			said.add(q, fmt.Sprintf("sends only %d frames per wake-up on this kernel (more from Linux 6.18 on)", q.Granted.TxBudget))
		}
		if why := s.checksumWarning(q); why != "" {
			said.add(q, why)
		}
	}
	return append(out, said.lines(s.Way.DeviceName())...)
}

// LinkWarnings says why nothing will leave for the time being.
func (s *Session) LinkWarnings() []string {
	if d := s.Way.Interface; d.Index != 0 && !d.Carrier {
		return []string{fmt.Sprintf("%s has no carrier: until it has, datagrams fail or wait (ip link show %s)", d.Name, d.Name)}
	}
	return nil
}

// merged puts together what holds for several queues of the interface, in the order in which it was first said.
type merged struct {
	texts  []string
	queues map[string][]string // by text
}

func (m *merged) add(q datapath.QueueInfo, text string) {
	if m.queues == nil {
		m.queues = map[string][]string{}
	}
	if m.queues[text] == nil {
		m.texts = append(m.texts, text)
	}
	m.queues[text] = append(m.queues[text], fmt.Sprint(q.Queue))
}

func (m *merged) lines(ifname string) (out []string) {
	for _, text := range m.texts {
		out = append(out, fmt.Sprintf("%s queue %s %s", ifname, strings.Join(m.queues[text], ","), text))
	}
	return out
}

// refusal is the error of a bind without the place where it happened, which the reader knows.
func refusal(err error) string {
	var op *xdp.OpError
	if !errors.As(err, &op) {
		return err.Error()
	}
	return fmt.Sprintf("%q (%s)", op.Err.Error(), op.Hint)
}

// SlowWarning says after a run that datagrams of it went the slow path although the start block promised AF_XDP; empty if
// none did.
func (s *Session) SlowWarning(info datapath.Info) string {
	before := &s.before
	opened := info.Opened - before.Opened
	n := info.SlowSent - before.SlowSent - opened + info.SlowFailed - before.SlowFailed
	switch {
	case n+opened == 0 || !s.fastWay() || s.SlowErr != nil:
		return ""
	case n == 0:
		return units.Plural(int(opened), "send") + " went through the kernel's own stack, so that its firewall, which tracks connections, " +
			"lets answers in (--require afxdp sends all over AF_XDP)"
	}
	var reasons []string
	for reason, n := range info.SlowReasons {
		if n > before.SlowReasons[reason] {
			reasons = append(reasons, reason)
		}
	}
	slices.Sort(reasons)
	return fmt.Sprintf("SLOW PATH: %s through the kernel's own stack and not through AF_XDP: "+
		"the route or the device changed during the run, or a packet is too long for the queue (%s)", units.Plural(int(n), "send")+" went",
		strings.Join(reasons, ", "))
}
