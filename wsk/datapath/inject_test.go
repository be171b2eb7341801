// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// taggedRoutes is a routing table with a VLAN device more than the kernel has, for kernels without 8021q.
type taggedRoutes struct {
	routing
	on int
	id uint16
}

const taggedIndex = 4711

func (r *taggedRoutes) Devices() []route.Device {
	all := r.routing.Devices()
	for _, d := range all {
		if d.Index == r.on {
			d.Index, d.Name, d.Type, d.Parent, d.VLAN = taggedIndex, "tagged", route.TypeVLAN, r.on, route.VLAN{ID: r.id, Proto: frame.EtherTypeVLAN}
			return append(all, d)
		}
	}
	return all
}

// injector builds and sends frames from B to A.
type injector struct {
	t   *testing.T
	lab *testenv.Lab
}

const injectPort = 7300

func (j *injector) flow(six bool) frame.Flow {
	f := frame.Flow{SrcMAC: frame.MAC(j.lab.B.If.MAC()), DstMAC: frame.MAC(j.lab.A.If.MAC()), TTL: 9, TOS: 0x15,
		Src: netip.AddrPortFrom(j.lab.B.IPv4(), 777), Dst: netip.AddrPortFrom(j.lab.A.IPv4(), injectPort)}
	if six {
		f.Src, f.Dst = netip.AddrPortFrom(j.lab.B.IPv6(), 777), netip.AddrPortFrom(j.lab.A.IPv6(), injectPort)
	}
	return f
}

// build is a whole frame of a flow.
func (j *injector) build(f frame.Flow, payload []byte) []byte {
	j.t.Helper()
	tpl, err := frame.NewTemplate(f)
	if err != nil {
		j.t.Fatal(err)
	}
	b := make([]byte, tpl.HeaderLen()+len(payload))
	var sum frame.Sum
	sum.CopyAdd(b[tpl.HeaderLen():], payload)
	tpl.PutHeaders(b, len(payload), 1, sum)
	return b
}

func (j *injector) send(frames ...[]byte) {
	j.t.Helper()
	for _, f := range frames {
		if err := j.lab.B.If.SendFrame(f); err != nil {
			j.t.Fatal(err)
		}
	}
}

// fixIPv4 recomputes the header checksum of an untagged IPv4 frame.
func fixIPv4(b []byte) {
	h := b[frame.EthernetLen:]
	h[10], h[11] = 0, 0
	var sum frame.Sum
	sum.Add(h[:int(h[0]&15)*4])
	binary.BigEndian.PutUint16(h[10:], sum.Checksum())
}

const (
	nobody = iota
	throughXDP
	throughKernel
)

// TestReceiveInjected sends every kind of frame and looks where each ends and what is counted. Behind each goes a plain one,
// whose arrival says that the other had its chance.
//
// Checklist items 59, 64, 65.
func TestReceiveInjected(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP|testenv.XDPProgram)
	lab := testenv.NewLabT(t, testenv.Topology{Neighbours: testenv.Static})
	dp, err := openWith(Options{NetNS: lab.A.NS.FD(), Receive: []string{lab.A.If.Name()}, Logger: testLogger(t)},
		func(dp *Datapath) (routing, error) {
			table, err := route.Open(route.Options{NetNS: dp.ns.FD()})
			return &taggedRoutes{table, lab.A.If.Index(), 100}, err
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		auditReceive(t, dp)
		dp.Close()
	})
	four, six := bind(t, dp, "0.0.0.0:7300"), bind(t, dp, "[::]:7300")
	group4, group6 := netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("ff15::77")
	for _, m := range []struct {
		p *port
		g netip.Addr
	}{{four, group4}, {six, group6}} {
		mustSucceed(t, "join", m.p.Change(wsk.Membership{Group: m.g.As16(), IfIndex: uint32(lab.A.If.Index())}))
	}
	j := &injector{t, lab}
	payload := []byte("what is sent")
	to := func(six bool, dst netip.Addr, change func(*frame.Flow)) frame.Flow {
		f := j.flow(six)
		if dst.IsValid() {
			f.Dst = netip.AddrPortFrom(dst, injectPort)
		}
		if mac, ok := frame.MulticastMAC(dst); ok {
			f.DstMAC = mac
		}
		if change != nil {
			change(&f)
		}
		return f
	}
	none := netip.Addr{}
	whole := func(f frame.Flow) [][]byte { return [][]byte{j.build(f, payload)} }
	edit := func(six bool, change func(b []byte) []byte) [][]byte {
		return [][]byte{change(j.build(j.flow(six), payload))}
	}
	const udp4, udp6 = frame.EthernetLen + frame.IPv4Len, frame.EthernetLen + frame.IPv6Len
	vlan := func(id uint16) func(*frame.Flow) {
		return func(f *frame.Flow) { f.VLANs = []frame.VLANTag{{ID: id, PCP: 5}} }
	}
	for _, tc := range []struct {
		name    string
		six     bool
		frames  [][]byte
		ends    int
		cast    wsk.Cast
		payload []byte // nil: payload
		ifindex int    // 0: wsk0
		reason  bpf.Reason
		counted func(ReceiveInfo) uint64 // moves by one
	}{
		{name: "plain", frames: whole(j.flow(false)), ends: throughXDP},
		{name: "plain v6", six: true, frames: whole(j.flow(true)), ends: throughXDP},
		{name: "no payload", frames: [][]byte{j.build(j.flow(false), nil)}, ends: throughXDP, payload: []byte{}},
		{name: "padded", frames: edit(false, func(b []byte) []byte { return append(b, "padding of the link layer"...) }), ends: throughXDP},
		{name: "VLAN of ours", frames: whole(to(false, none, vlan(100))), ends: throughXDP, ifindex: taggedIndex},
		{name: "VLAN of ours v6", six: true, frames: whole(to(true, none, vlan(100))), ends: throughXDP, ifindex: taggedIndex},
		{name: "VLAN of others", frames: whole(to(false, none, vlan(200))), reason: bpf.ReasonVLAN},
		{name: "priority tag", frames: whole(to(false, none, vlan(0))), ends: throughXDP},
		{name: "group", frames: whole(to(false, group4, nil)), ends: throughXDP, cast: wsk.Multicast},
		{name: "group v6", six: true, frames: whole(to(true, group6, nil)), ends: throughXDP, cast: wsk.Multicast},
		{name: "group not joined", frames: whole(to(false, netip.MustParseAddr("239.1.2.4"), nil)), reason: bpf.ReasonGroup},
		{name: "group joined elsewhere", frames: whole(to(false, group4, vlan(100))),
			counted: func(r ReceiveInfo) uint64 { return r.NotJoined }},
		{name: "limited broadcast", cast: wsk.Broadcast, ends: throughXDP,
			frames: whole(to(false, netip.MustParseAddr("255.255.255.255"), func(f *frame.Flow) { f.DstMAC = frame.BroadcastMAC() }))},
		{name: "subnet broadcast", cast: wsk.Broadcast, ends: throughXDP,
			frames: whole(to(false, netip.MustParseAddr("10.77.0.255"), func(f *frame.Flow) { f.DstMAC = frame.BroadcastMAC() }))},
		{name: "broadcast of the link only", cast: wsk.Broadcast, ends: throughXDP,
			frames: whole(to(false, none, func(f *frame.Flow) { f.DstMAC = frame.BroadcastMAC() }))},
		{name: "another station", frames: whole(to(false, none, func(f *frame.Flow) { f.DstMAC = frame.MAC{2, 1, 2, 3, 4, 5} })),
			counted: func(r ReceiveInfo) uint64 { return r.OtherHost }},
		{name: "another port", frames: whole(to(false, none, func(f *frame.Flow) { f.Dst = netip.AddrPortFrom(f.Dst.Addr(), 7301) })),
			reason: bpf.ReasonNoPort},
		{name: "another host", frames: whole(to(false, netip.MustParseAddr("10.77.0.9"), nil)), reason: bpf.ReasonNotLocal},
		{name: "cut short", frames: edit(false, func(b []byte) []byte { return b[:len(b)-3] }), reason: bpf.ReasonIPLength},
		{name: "cut in the header", frames: edit(false, func(b []byte) []byte { return b[:frame.EthernetLen+10] }), reason: bpf.ReasonTruncated},
		{name: "UDP longer than IP", frames: edit(false, func(b []byte) []byte { b[udp4+5]++; return b }), reason: bpf.ReasonUDPLength},
		{name: "UDP shorter than IP", ends: throughKernel, payload: payload[:len(payload)-2], reason: bpf.ReasonUDPLength,
			frames: edit(false, func(b []byte) []byte {
				b[udp4+5] -= 2
				b[udp4+6], b[udp4+7] = 0, 0
				return b
			})},
		{name: "bad UDP checksum", frames: edit(false, func(b []byte) []byte { b[udp4+6] ^= 0x40; return b }),
			counted: func(r ReceiveInfo) uint64 { return r.Malformed[frame.ReasonUDPChecksum] }},
		{name: "bad UDP checksum v6", six: true, frames: edit(true, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }),
			counted: func(r ReceiveInfo) uint64 { return r.Malformed[frame.ReasonUDPChecksum] }},
		{name: "bad IP checksum", frames: edit(false, func(b []byte) []byte { b[frame.EthernetLen+10] ^= 1; return b }),
			counted: func(r ReceiveInfo) uint64 { return r.Malformed[frame.ReasonIPv4Checksum] }},
		{name: "no UDP checksum", ends: throughXDP, frames: whole(to(false, none, func(f *frame.Flow) { f.NoChecksum = true }))},
		{name: "no UDP checksum v6", six: true, reason: bpf.ReasonUDPChecksum,
			frames: edit(true, func(b []byte) []byte { b[udp6+6], b[udp6+7] = 0, 0; return b })},
		{name: "checksum left to the device", ends: throughXDP, counted: func(r ReceiveInfo) uint64 { return r.Partial },
			frames: edit(false, func(b []byte) []byte {
				f := j.flow(false)
				sum := frame.PseudoHeaderSum(f.Src.Addr(), f.Dst.Addr(), frame.ProtocolUDP, frame.UDPLen+len(payload))
				binary.BigEndian.PutUint16(b[udp4+6:], sum.Fold())
				return b
			})},
		{name: "IP options", ends: throughKernel, reason: bpf.ReasonIPOptions,
			frames: edit(false, func(b []byte) []byte {
				b = slices.Insert(b, udp4, 1, 1, 1, 0) // no operation, end of list
				b[frame.EthernetLen]++
				b[frame.EthernetLen+3] += 4
				fixIPv4(b)
				return b
			})},
		{name: "extension header", six: true, ends: throughKernel, reason: bpf.ReasonIPExtension,
			frames: edit(true, func(b []byte) []byte {
				b = slices.Insert(b, udp6, frame.ProtocolUDP, 0, 1, 4, 0, 0, 0, 0) // destination options: padding
				b[frame.EthernetLen+6] = 60
				b[frame.EthernetLen+5] += 8
				return b
			})},
		{name: "fragments", ends: throughKernel, payload: pattern(3000), frames: j.fragments(false, pattern(3000)), reason: bpf.ReasonIPFragment},
		{name: "fragments v6", six: true, ends: throughKernel, payload: pattern(3000), frames: j.fragments(true, pattern(3000)), reason: bpf.ReasonIPFragment},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := four
			if tc.six {
				p = six
			}
			before, programBefore, infoBefore := received(t, dp), programCounters(dp), dp.Info()
			j.send(tc.frames...)
			want := tc.payload
			if want == nil {
				want = payload
			}
			if tc.ends != nobody {
				d := p.wait(1)[0]
				f := j.flow(tc.six)
				dst := netip.AddrFrom16(d.Destination).Unmap()
				checkDatagram(t, &d, want, f.Src, dst, f.TOS, f.TTL)
				index := tc.ifindex
				if index == 0 {
					index = lab.A.If.Index()
				}
				if d.Cast != tc.cast || int(d.IfIndex) != index {
					t.Errorf("got %s, want cast %d on %d", describe(&d), tc.cast, index)
				}
			}
			// The next in line, by the way that the first took or should have.
			marker := j.build(j.flow(tc.six), []byte("marker"))
			j.send(marker)
			if d := p.wait(1)[0]; string(d.Payload) != "marker" {
				t.Errorf("an unexpected %s", describe(&d))
			}
			after, programAfter, infoAfter := received(t, dp), programCounters(dp).Sub(programBefore), dp.Info()
			delivered := after.Delivered - before.Delivered - 1 // less the marker
			companion := infoAfter.CompanionReceived - infoBefore.CompanionReceived
			if (delivered == 1) != (tc.ends == throughXDP) || (companion == 1) != (tc.ends == throughKernel) {
				t.Errorf("%d came through AF_XDP and %d through the kernel", delivered, companion)
			}
			if tc.reason != bpf.ReasonRedirected && programAfter[tc.reason] < uint64(len(tc.frames)) {
				t.Errorf("the program counted %d for %v", programAfter[tc.reason], tc.reason)
			}
			if tc.counted != nil && tc.counted(after)-tc.counted(before) != 1 {
				t.Errorf("counted %d", tc.counted(after)-tc.counted(before))
			}
			if frames := after.Frames - before.Frames; tc.reason == bpf.ReasonRedirected && frames != 2 || after.Foreign != 0 {
				t.Errorf("%d frames in the ring, %d foreign", frames, after.Foreign)
			}
		})
	}
}

// fragments are the frames of one datagram cut up.
func (j *injector) fragments(six bool, payload []byte) (frames [][]byte) {
	j.t.Helper()
	tpl, err := frame.NewTemplate(j.flow(six))
	if err != nil {
		j.t.Fatal(err)
	}
	plan, err := tpl.PlanFragments(len(payload), 1500)
	if err != nil {
		j.t.Fatal(err)
	}
	var sum frame.Sum
	sum.Add(payload)
	for i := range plan.Count() {
		fr := plan.At(i)
		b := make([]byte, fr.FrameLen())
		copy(b[fr.HeaderLen:], payload[fr.PayloadOffset:])
		tpl.PutFragment(b, plan, i, 4242, sum)
		frames = append(frames, b)
	}
	return frames
}
