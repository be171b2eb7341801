// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// keeper keeps what a sender keeps of an answer.
type keeper struct {
	q    Query
	on   Standing
	kept kept
}

type kept struct {
	hop                Hop
	mac                [6]byte
	device             Device
	vlans              string
	obstacle, selected Obstacle
	err                error
}

// take asks for all that a sender keeps. The state of devices is left out: what follows from it, routes tell.
func take(t *testing.T, table *Table, q Query, on *Standing) (k kept) {
	if k.hop, k.err = table.ResolveStanding(t.Context(), q, on); k.err != nil {
		return kept{err: k.err}
	}
	var e Egress
	e, k.obstacle = table.Transmit(k.hop, q.TOS)
	k.selected = table.Selected(q, k.hop)
	k.device, k.vlans = e.Device, fmt.Sprint(e.VLANs)
	k.mac, _ = table.NeighbourNow(k.hop.Interface, k.hop.Gateway)
	for _, d := range []*Device{&k.hop.Device, &k.device} {
		d.Up, d.Carrier = false, false
	}
	return k
}

// keep asks until the mirror has the answer.
func keep(t *testing.T, table *Table, q Query) *keeper {
	t.Helper()
	k := &keeper{q: q}
	testenv.Eventually(t, patience, fmt.Sprintf("the mirror to know %+v", q), func() bool {
		k.kept = take(t, table, q, &k.on)
		return k.kept.err == nil && k.on.hop != nil && k.kept.mac != [6]byte{}
	})
	return k
}

// keepers are senders to neighbours and by gateways, of both families, with and without a source.
func keepers(t *testing.T, table *Table, j *judge) (list []*keeper) {
	t.Helper()
	for _, q := range []Query{
		{Dst: addr("10.77.0.254")}, {Dst: addr(far4)}, {Dst: addr(far4), Src: addr("10.77.0.1")},
		{Dst: addr("10.77.0.254"), Interface: j.links[0].Index()},
		{Dst: addr("fd77::fe"), Src: addr("fd77::1")}, {Dst: addr(far6), Src: addr("fd77::1")}, {Dst: addr("fe80::77%wsk0")},
	} {
		list = append(list, keep(t, table, q))
	}
	return list
}

// Links, addresses, neighbours and settings of other devices come and go: no answer ends, and the kernel is asked nothing.
func TestStandingBesideChanges(t *testing.T) {
	j, h := twoWays(t)
	table := open(t, j.lab, Options{Mirror: true})
	settle(t, j.lab, table)
	list := keepers(t, table, j)
	two := j.links[1]
	asked := fmt.Sprint(table.Asked())
	const times = 100
	ip := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 78, 0, byte(i + 1)}) }
	set := func(i, mac int) { must(t, two.SetNeighbour(ip(i), net.HardwareAddr{2, 0, 0, 0, byte(mac), byte(i)})) }
	for what, do := range map[string]func(i int){
		"links": func(i int) {
			name := fmt.Sprintf("beside%d", i)
			must(t, addPair(h, name))
			must(t, setUp(h, name, name+"-end"))
			l, err := h.LinkByName(name)
			must(t, err)
			must(t, h.LinkSetMTU(l, 1400))
			must(t, h.LinkDel(l))
		},
		"addresses": func(i int) {
			for _, p := range []netip.Prefix{
				netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 79, byte(i), 1}), 24), netip.MustParsePrefix(fmt.Sprintf("fd79:%x::1/64", i)),
			} {
				must(t, two.AddAddr(p))
				must(t, two.DeleteAddr(p))
			}
		},
		"neighbours": func(i int) {
			set(i, 1)
			testenv.Eventually(t, patience, "the neighbour", func() bool {
				_, ok := table.NeighbourNow(two.Index(), ip(i))
				return ok
			})
			set(i, 2)
			must(t, two.DeleteNeighbour(ip(i)))
		},
		"reverse path filters": func(i int) {
			must(t, j.lab.A.NS.Sysctl("ipv4/conf/two/rp_filter", fmt.Sprint(i%3)))
		},
		"forwarding": func(i int) { must(t, j.lab.A.NS.Sysctl("ipv4/conf/two/forwarding", fmt.Sprint(i%2))) },
		"the device": func(i int) { must(t, two.SetMTU(1300+i)) },
	} {
		for i := range times {
			do(i)
			for _, k := range list {
				if !table.Stands(&k.on) {
					t.Fatalf("%s: the answer to %+v has ended", what, k.q)
				}
			}
		}
		settle(t, j.lab, table)
		for _, k := range list {
			if !table.Stands(&k.on) {
				t.Errorf("%s: the answer to %+v has ended", what, k.q)
			}
		}
	}
	if now := fmt.Sprint(table.Asked()); now != asked {
		t.Errorf("asked %v, before %v", now, asked)
	}
}

// Whatever an answer rests on ends it, and what is asked then the kernel's socket does.
func TestStandingEndsWithItsGround(t *testing.T) {
	far := Query{Dst: addr(far4), DstPort: 9}
	far6 := Query{Dst: addr(far6), DstPort: 9, Src: addr("fd77::1")}
	for name, test := range map[string]struct {
		q      Query
		change func(t *testing.T, j *judge, h *netlink.Handle)
		want   func(before, now kept) bool
	}{
		"MAC of the gateway": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.links[0].SetNeighbour(addr("10.77.0.254"), hardware(1)))
		}, func(_, now kept) bool { return now.mac == [6]byte(hardware(1)) }},
		"MAC of the gateway, IPv6": {far6, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.links[0].SetNeighbour(addr("fd77::fe"), hardware(2)))
		}, func(_, now kept) bool { return now.mac == [6]byte(hardware(2)) }},
		"MAC of the device": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.links[0].SetMAC(hardware(3)))
			j.knows(0, "10.77.0.254")
		}, func(_, now kept) bool { return now.hop.Device.MAC == [6]byte(hardware(3)) }},
		"MTU of the device": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.links[0].SetMTU(1350))
		}, func(_, now kept) bool { return now.hop.MTU == 1350 }},
		"source deleted": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.links[0].AddAddr(netip.MustParsePrefix("10.77.0.9/24"))) // takes its place
			must(t, j.lab.A.NS.Sysctl("ipv4/conf/wsk0/promote_secondaries", "1"))
			must(t, j.links[0].DeleteAddr(netip.MustParsePrefix("10.77.0.1/24")))
			j.knows(0, "10.77.0.254")
			must(t, handle(t, j.lab.A.NS).RouteReplace(via(0, j, "0.0.0.0/0", "10.77.0.254")))
		}, func(_, now kept) bool { return now.hop.Source == addr("10.77.0.9") }},
		"wanted source deleted": {Query{Dst: addr("fd77::fe"), Src: addr("fd77::1"), DstPort: 9}, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.links[0].DeleteAddr(netip.MustParsePrefix("fd77::1/64")))
		}, func(_, now kept) bool { return errorIs(now.err, ErrSource) }},
		"source moved to another device": {
			Query{Dst: addr("fe80::77%wsk0"), Src: addr("fe80::7777"), DstPort: 9}, func(t *testing.T, j *judge, _ *netlink.Handle) {
				must(t, j.links[0].DeleteAddr(netip.MustParsePrefix("fe80::7777/64")))
				must(t, j.links[1].AddAddr(netip.MustParsePrefix("fe80::7777/64")))
			}, func(_, now kept) bool { return errorIs(now.err, ErrSource) },
		},
		"ARP off": {far, func(t *testing.T, j *judge, _ *netlink.Handle) { must(t, j.links[0].SetARP(false)) },
			func(_, now kept) bool { return now.hop.Device.NoARP && now.mac == now.hop.Device.MAC }},
		"device renamed": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			_, err := j.links[0].Rename("renamed")
			must(t, err)
			j.knows(0, "10.77.0.254")
			must(t, handle(t, j.lab.A.NS).RouteReplace(via(0, j, "0.0.0.0/0", "10.77.0.254")))
		}, func(_, now kept) bool { return now.hop.Device.Name == "renamed" && now.device.Name == "renamed" }},
		"policy": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			block(t, j.lab, far.Dst)
		}, func(_, now kept) bool { return now.selected.ID == ObstacleIPsec }},
		"reverse path filter": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.lab.A.NS.Sysctl("ipv4/conf/wsk0/rp_filter", "1"))
		}, nil},
		"forwarding": {far, func(t *testing.T, j *judge, _ *netlink.Handle) {
			must(t, j.lab.A.NS.Sysctl("ipv4/conf/all/forwarding", "1"))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			j, h := twoWays(t)
			must(t, j.links[0].AddAddr(netip.MustParsePrefix("fe80::7777/64")))
			table := open(t, j.lab, Options{Mirror: true})
			settle(t, j.lab, table)
			k := keep(t, table, test.q)
			test.change(t, j, h)
			now := k.kept
			if test.want == nil {
				settle(t, j.lab, table)
				if now = take(t, table, test.q, &k.on); now != k.kept {
					t.Errorf("%+v, was %+v", now, k.kept)
				}
			} else {
				testenv.Eventually(t, patience, "the answer to end and to be another", func() bool {
					if table.Stands(&k.on) {
						return false
					}
					now = take(t, table, test.q, &k.on)
					return test.want(k.kept, now)
				})
			}
			if now.err == nil && now.selected.ID == NoObstacle && now.hop.Device.Name == j.links[0].Name() {
				settle(t, j.lab, table) // an answer of the kernel's own may have come before the mirror has heard of the change
				j.compare(table, test.q)
			}
		})
	}
}

// block has an IPsec policy block what is sent to an address.
func block(t *testing.T, lab *testenv.Lab, to netip.Addr) {
	t.Helper()
	var h *netlink.Handle
	must(t, lab.A.NS.Do(func() (err error) { h, err = netlink.NewHandle(unix.NETLINK_XFRM); return err }))
	t.Cleanup(h.Close)
	must(t, h.XfrmPolicyAdd(&netlink.XfrmPolicy{
		Src: ipNet("0.0.0.0/0"), Dst: ipNet(to.String() + "/32"), Dir: netlink.XFRM_DIR_OUT, Action: netlink.XFRM_POLICY_BLOCK,
	}))
}

// A device that is deleted and made again, the same to look at and under the same index, is another one: what was made for
// the first is of no use.
func TestStandingEndsWithItsDevice(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	h := handle(t, lab.A.NS)
	build := func() {
		must(t, h.LinkAdd(replaceable(t)))
		must(t, setUp(h, "again", "again-end"))
		i, err := testenv.FindIface(lab.A.NS, "again")
		must(t, err)
		must(t, i.AddAddr(netip.MustParsePrefix("10.78.0.1/24")))
		must(t, i.SetNeighbour(addr("10.78.0.254"), hardware(5)))
	}
	build()
	table := open(t, lab, Options{Mirror: true})
	settle(t, lab, table)
	k := keep(t, table, Query{Dst: addr("10.78.0.254")})
	l, err := h.LinkByName("again")
	must(t, err)
	must(t, h.LinkDel(l))
	build()
	settle(t, lab, table)
	testenv.Eventually(t, patience, "the answer to end", func() bool { return !table.Stands(&k.on) })
	now := keep(t, table, k.q)
	if now.kept != k.kept {
		t.Errorf("%+v, was %+v: the test does not test", now.kept, k.kept)
	}
}
