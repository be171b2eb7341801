// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Events are lost while a device is made again with the same index, name and MAC address. That is another device: it is deleted and
// added, so that whoever had the old one takes the new one. What only changed meanwhile is not.
func TestOverrunWhileDeviceIsReplaced(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, h *netlink.Handle, l netlink.Link)
		want   []EventKind // of the device
	}{
		"replaced": {func(t *testing.T, h *netlink.Handle, l netlink.Link) {
			must(t, h.LinkDel(l))
			must(t, h.LinkAdd(replaceable(t)))
			must(t, setUp(h, "again", "again-end"))
		}, []EventKind{LinkDeleted, LinkAdded}},
		"replaced by another name": {func(t *testing.T, h *netlink.Handle, l netlink.Link) {
			must(t, h.LinkDel(l))
			v := replaceable(t)
			v.Name, v.HardwareAddr = "other", nil
			must(t, h.LinkAdd(v))
			must(t, setUp(h, "other", "again-end"))
		}, []EventKind{LinkDeleted, LinkAdded}},
		"renamed": {func(t *testing.T, h *netlink.Handle, l netlink.Link) {
			must(t, h.LinkSetDown(l))
			must(t, h.LinkSetName(l, "renamed"))
			must(t, setUp(h, "renamed"))
		}, []EventKind{LinkChanged}},
		"other MAC": {func(t *testing.T, h *netlink.Handle, l netlink.Link) {
			must(t, h.LinkSetHardwareAddr(l, hardware(0x42)))
		}, []EventKind{LinkChanged}},
		"nothing": {func(*testing.T, *netlink.Handle, netlink.Link) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			lab := newLab(t, testenv.Topology{})
			h := handle(t, lab.A.NS)
			must(t, h.LinkAdd(replaceable(t)))
			must(t, setUp(h, "again", "again-end"))
			l, err := h.LinkByName("again")
			must(t, err)
			table := open(t, lab, Options{ReceiveBuffer: 1})
			settle(t, lab, table)
			w := newWatch(t, table)
			blocked, release := make(chan struct{}), make(chan struct{})
			goOn := sync.OnceFunc(func() { close(release) })
			defer goOn()
			var once sync.Once
			defer table.Subscribe(func(Event) { once.Do(func() { close(blocked); <-release }) })()
			storm := func(i int) netip.Prefix {
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 88, byte(i >> 8), byte(i)}), 32)
			}
			must(t, lab.A.If.AddAddr(storm(0)))
			<-blocked
			for i := 1; i < 400; i++ {
				must(t, lab.A.If.AddAddr(storm(i)))
			}
			test.change(t, h, l)
			goOn()
			settle(t, lab, table)
			must(t, lab.A.If.SetMTU(1400)) // the last that is told
			var seen []EventKind
			resynced := false
			for _, e := range w.until(t, "the last change", func(e Event) bool {
				return e.Kind == LinkChanged && e.Interface == lab.A.If.Index()
			}) {
				if e.Interface == replaceIndex && (e.Kind == LinkDeleted || e.Kind == LinkAdded || e.Kind == LinkChanged) {
					seen = append(seen, e.Kind)
				}
				resynced = resynced || e.Kind == Resynced
			}
			if !resynced {
				t.Fatal("no event was lost")
			}
			if seen = slices.Compact(seen); !slices.Equal(seen, test.want) {
				t.Fatalf("%v, want %v", seen, test.want)
			}
		})
	}
}

const replaceIndex = 77

// replaceable is a device that looks the same every time.
func replaceable(t *testing.T) *netlink.Veth {
	t.Helper()
	return &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "again", Index: replaceIndex, HardwareAddr: hardware(0x77)}, PeerName: "again-end",
	}
}

// The files that tell are bounded, and closed with the table.
func TestLives(t *testing.T) {
	l := lives{}
	many := map[int]*Device{}
	for i := 1; i <= 2*livesLimit; i++ {
		many[i] = &Device{Index: i, Name: "lo", Ethernet: true, Type: TypeVeth}
	}
	s := openSysctls()
	defer s.close()
	l.follow(many)
	if len(l.held) != 0 {
		t.Errorf("%d files without a directory", len(l.held))
	}
	l.dir = s.devices
	l.follow(many)
	if len(l.held) != livesLimit {
		t.Errorf("%d files, want %d", len(l.held), livesLimit)
	}
	l.follow(nil)
	if len(l.held) != 0 {
		t.Errorf("%d files are left", len(l.held))
	}
	for _, test := range []struct {
		before, now Device
		want        bool
	}{
		{Device{Name: "a", Kind: "veth"}, Device{Name: "b", Kind: "veth", MAC: [6]byte{2}}, false},
		{Device{Name: "a", Kind: "veth"}, Device{Name: "a", Kind: "bridge"}, false},
		{Device{Name: "a", Kind: "veth"}, Device{Name: "a", Kind: "veth", MAC: [6]byte{2}}, true},
		{Device{Name: "a", Kind: "veth"}, Device{Name: "b", Kind: "veth"}, true},
	} {
		if got := l.same(test.before, test.now); got != test.want {
			t.Errorf("%+v and %+v: %v", test.before, test.now, got)
		}
	}
}
