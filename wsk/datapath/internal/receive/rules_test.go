// SPDX-License-Identifier: Apache-2.0

package receive

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/ipsec"
)

// fakeRules are what a test says of the host.
type fakeRules struct {
	generation uint64
	filter     map[int]route.ReversePath
	accepts    func(route.Arrival) (bool, error)
	asked      int
	vrf        map[int]int
	fromVRFs   bool
}

func (r *fakeRules) Generation() uint64                        { return r.generation }
func (r *fakeRules) ReversePath(ifindex int) route.ReversePath { return r.filter[ifindex] }
func (r *fakeRules) Policies() *ipsec.Policies                 { return nil }
func (r *fakeRules) VRF(ifindex int) int                       { return r.vrf[ifindex] }
func (r *fakeRules) ReceivesFromVRFs() bool                    { return r.fromVRFs }
func (r *fakeRules) DropsUnicastInLinkGroups(int, bool) bool   { return false }

func (r *fakeRules) Accepts(a route.Arrival) (bool, error) {
	r.asked++
	return r.accepts(a)
}

// TestSources: the kernel is asked once for each source until something changes, and what it refuses, or does not answer,
// is dropped and counted. Where no filter is on nobody is asked.
func TestSources(t *testing.T) {
	rules := &fakeRules{filter: map[int]route.ReversePath{1: route.ReversePathStrict}}
	q, nic, _ := newNICQueue(t, 16)
	hub := q.intake.Hub
	hub.Rules = rules
	q.intake.Refresh()
	bind(t, hub, "0.0.0.0:7976", false, releaseAll)
	answers := map[string]error{"10.0.0.2": nil, "8.8.8.8": errors.New("refused"), "8.8.4.4": errors.New("no answer")}
	rules.accepts = func(a route.Arrival) (bool, error) {
		if a.Dst != netip.MustParseAddr("10.0.0.1") || a.Interface != 1 {
			return false, fmt.Errorf("asked for %v on %d", a.Dst, a.Interface)
		}
		if err := answers[a.Src.String()]; err != nil && err.Error() == "no answer" {
			return false, err
		}
		return answers[a.Src.String()] == nil, nil
	}
	frames := uint64(0)
	step := func(src string, delivered, asked uint64) {
		t.Helper()
		before, questions := q.Info(), rules.asked
		tpl, err := frame.NewTemplate(frame.Flow{SrcMAC: frame.MAC{2, 9, 9, 9, 9, 9}, DstMAC: frame.MAC{2, 0, 0, 0, 0, 1},
			Src: netip.AddrPortFrom(netip.MustParseAddr(src), 7), Dst: netip.MustParseAddrPort("10.0.0.1:7976")})
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, tpl.HeaderLen())
		tpl.PutHeaders(b, 0, 1, frame.Sum{})
		nic.arrive(b)
		frames++
		eventually(t, "the frame", func() bool { return q.Info().Frames == frames })
		after := q.Info()
		if after.Delivered-before.Delivered != delivered || after.Refused-before.Refused != 1-delivered {
			t.Errorf("%s: %d delivered, %d refused", src, after.Delivered-before.Delivered, after.Refused-before.Refused)
		}
		if n := uint64(rules.asked - questions); n != asked {
			t.Errorf("%s: %d questions, want %d", src, n, asked)
		}
	}
	step("10.0.0.2", 1, 1)
	step("10.0.0.2", 1, 0)
	step("8.8.8.8", 0, 1)
	step("8.8.8.8", 0, 0)
	step("8.8.4.4", 0, 1)
	step("8.8.4.4", 0, 1) // no answer is not remembered
	answers["10.0.0.2"] = errors.New("refused")
	step("10.0.0.2", 1, 0)
	rules.generation++
	step("10.0.0.2", 0, 1)
	rules.filter = nil
	q.intake.Refresh()
	step("10.0.0.2", 1, 0)
}

// TestVRF: what arrives in a VRF is the kernel's, unless sockets outside get it; a VLAN device in one takes its VLAN along,
// a device that is known by its MAC address alone the whole interface.
func TestVRF(t *testing.T) {
	host := fakeRoutes{devices: []route.Device{
		fakeHost.devices[0],
		{Index: 2, Type: route.TypeVLAN, Parent: 1, VLAN: route.VLAN{ID: 5, Proto: frame.EtherTypeVLAN}, Up: true},
		{Index: 3, Type: route.TypeMACVLAN, Parent: 1, MAC: [6]byte{2, 3}, Up: true},
	}}
	rules := &fakeRules{}
	hub := newHub(t, host)
	hub.Rules = rules
	in, program := addIntake(t, hub)
	bind(t, hub, "0.0.0.0:7977", false, func(list *wsk.Datagram) { releaseAll(list) })
	key := bpf.Key{Addr: netip.IPv4Unspecified(), Port: 7977}
	for _, tc := range []struct {
		vrf       map[int]int
		fromVRFs  bool
		port, tag bool
	}{
		{nil, false, true, true},
		{map[int]int{1: 9}, false, false, true},
		{map[int]int{1: 9}, true, true, true},
		{map[int]int{2: 9}, false, true, false},
		{map[int]int{3: 9}, false, false, true},
		{nil, false, true, true},
	} {
		rules.vrf, rules.fromVRFs = tc.vrf, tc.fromVRFs
		in.Refresh()
		if _, port := program.ports[key]; port != tc.port || (in.Ports() == 1) != tc.port || (len(program.vlans) == 1) != tc.tag {
			t.Errorf("%+v: port in the program %v, VLANs %v", tc, port, program.vlans)
		}
	}
}
