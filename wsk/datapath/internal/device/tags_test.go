// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk/route"
)

// switches are the offloads of NICs by name. A driver changes none that is fixed, and says nothing of it.
type switches struct {
	names map[int]string
	on    map[string]map[string]bool
	fixed string
}

var errNoSuchCard = errors.New("no such card")

func (s *switches) get(name string) (map[string]bool, error) {
	if s.on[name] == nil {
		return nil, errNoSuchCard
	}
	return maps.Clone(s.on[name]), nil
}

func (s *switches) set(name string, change map[string]bool) error {
	if s.on[name] == nil {
		return errNoSuchCard
	}
	for f, on := range change {
		if f != s.fixed {
			s.on[name][f] = on
		}
	}
	return nil
}

// TestTagsAreGivenBack: the offloads that take tags out of frames are off while the program is there, and on again when it has gone,
// and nothing else is touched.
func TestTagsAreGivenBack(t *testing.T) {
	const tag, service, filter = "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse", "rx-vlan-filter"
	type features = map[string]bool
	for name, tc := range map[string]struct {
		before, during features
		fixed          string
		between        func(*switches)
		after          map[string]features
	}{
		"one": {
			before: features{tag: true, filter: true}, during: features{tag: false, filter: true},
			after: map[string]features{"nic0": {tag: true, filter: true}},
		},
		"both": {
			before: features{tag: true, service: true}, during: features{tag: false, service: false},
			after: map[string]features{"nic0": {tag: true, service: true}},
		},
		"off before": {
			before: features{tag: false, filter: false}, during: features{tag: false, filter: false},
			after: map[string]features{"nic0": {tag: false, filter: false}},
		},
		"one fixed": {
			before: features{tag: true, service: true}, during: features{tag: true, service: false}, fixed: tag,
			after: map[string]features{"nic0": {tag: true, service: true}},
		},
		"renamed": {
			before: features{tag: true}, during: features{tag: false},
			between: func(s *switches) { s.names[7], s.on = "nic1", map[string]features{"nic1": s.on["nic0"]} },
			after:   map[string]features{"nic1": {tag: true}},
		},
		"another in its place": {
			before: features{tag: true}, during: features{tag: false},
			between: func(s *switches) { s.names = map[int]string{8: "nic0"} },
			after:   map[string]features{"nic0": {tag: false}},
		},
		"tells nothing": {after: map[string]features{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &switches{names: map[int]string{7: "nic0"}, on: map[string]features{}, fixed: tc.fixed}
			if tc.before != nil {
				s.on["nic0"] = tc.before
			}
			p := newSet(t, nil, nil).NewProgram(7, "nic0")
			p.sight.features, p.hasher = s, &nics{names: s.names}
			unseen, err := p.lookForTags("device")
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(s.on["nic0"], tc.during) {
				t.Errorf("while the program is there: %v, want %v", s.on["nic0"], tc.during)
			}
			if (unseen != nil) != (tc.fixed != "") {
				t.Errorf("unseen: %v", unseen)
			}
			if tc.between != nil {
				tc.between(s)
				p.hasher = &nics{names: s.names}
			}
			p.Close()
			if !maps.EqualFunc(s.on, tc.after, maps.Equal) {
				t.Errorf("afterwards: %v, want %v", s.on, tc.after)
			}
			if _, err := p.lookForTags("device"); err == nil || !maps.EqualFunc(s.on, tc.after, maps.Equal) {
				t.Errorf("a program that was closed turns offloads off: %v, %v", s.on, err)
			}
		})
	}
}

// TestUnseenTagsAreRefused: where the program would not see tags it is not attached, unless that is allowed, and the error says what
// to do instead.
func TestUnseenTagsAreRefused(t *testing.T) {
	lab, set, rd := labSet(t, testenv.AFXDP|testenv.XDPProgram, testenv.Topology{})
	routes := fakeRoutes{rd.Name: rd}
	set.Routes, set.Hub.Routes = routes, routes
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	upper := func(link netlink.Link) route.Device {
		t.Helper()
		if err := errors.Join(h.LinkAdd(link), h.LinkSetUp(link)); err != nil {
			t.Fatal(err)
		}
		made, err := h.LinkByName(link.Attrs().Name)
		if err != nil {
			t.Fatal(err)
		}
		d := rd
		d.Index, d.Name, d.Kind = made.Attrs().Index, made.Attrs().Name, made.Type()
		return d
	}
	attrs := func(name string) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		a.Name = name
		return a
	}
	mac := attrs("mac0")
	mac.ParentIndex = rd.Index
	macvlan := upper(&netlink.Macvlan{LinkAttrs: mac, Mode: netlink.MACVLAN_MODE_BRIDGE})
	macvlan.Parent = rd.Index
	bridge := upper(&netlink.Bridge{LinkAttrs: attrs("br0")})
	port := route.Device{Index: 77, Name: "port0", Master: bridge.Index}
	for _, d := range []route.Device{macvlan, bridge, port} {
		routes[d.Name] = d
	}
	for _, tc := range []struct {
		name    string
		mode    bpf.Mode
		says    string
		refused bool
	}{
		{macvlan.Name, bpf.Auto, "name " + rd.Name + " instead", true},
		{bridge.Name, bpf.Generic, "name port0 instead", true},
		{rd.Name, bpf.Generic, "receive in native mode", testenv.KernelAtLeast(6, 8)},
	} {
		set.Opts.ReceiveMode, set.Opts.TagsUnseen = tc.mode, false
		err := set.OpenReceiving(tc.name)
		switch {
		case !tc.refused && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.refused && (err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "ReceiveTagsUnseen")):
			t.Errorf("%s, %v: %v, want %q", tc.name, tc.mode, err, tc.says)
		}
		if list := holders(t, set, routes[tc.name].Index); tc.refused && len(list) != 0 {
			t.Errorf("%s: a program is attached: %v", tc.name, list)
		}
		set.Remove(routes[tc.name].Index).Dismantle()
		set.Opts.TagsUnseen = true
		if err := set.OpenReceiving(tc.name); err != nil {
			t.Errorf("%s, where tags may be unseen: %v", tc.name, err)
			continue
		}
		if p := set.Known(routes[tc.name].Index).program; !p.Info().TagsUnseen {
			t.Errorf("%s: TagsUnseen is false", tc.name)
		}
		set.Remove(routes[tc.name].Index).Dismantle()
	}
}
