// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// joinedInKernel reports whether the kernel of A is in a group on wsk0: what its IGMP and MLD reports say.
func joinedInKernel(t *testing.T, lab *testenv.Lab, group netip.Addr) (joined bool) {
	t.Helper()
	err := lab.A.NS.Do(func() error {
		if group.Is4() {
			text, err := os.ReadFile("/proc/thread-self/net/igmp")
			a := group.As4()
			joined = strings.Contains(string(text), fmt.Sprintf("%02X%02X%02X%02X ", a[3], a[2], a[1], a[0]))
			return err
		}
		text, err := os.ReadFile("/proc/thread-self/net/igmp6")
		a := group.As16()
		joined = strings.Contains(string(text), hex.EncodeToString(a[:]))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return joined
}

// socketsOn counts the UDP sockets in the kernel of A that are bound to an address.
func socketsOn(t *testing.T, lab *testenv.Lab, a netip.Addr) (n int) {
	t.Helper()
	err := lab.A.NS.Do(func() error {
		file, words := "/proc/thread-self/net/udp", ""
		if a.Is6() {
			file += "6"
		}
		text, err := os.ReadFile(file)
		b := a.AsSlice()
		for i := 0; i < len(b); i += 4 {
			words += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b[i:]))
		}
		n = strings.Count(string(text), ": "+words+":")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// eachWay runs a test with and without the XDP program.
func eachWay(t *testing.T, top testenv.Topology, test func(t *testing.T, lab *testenv.Lab, dp *Datapath)) {
	t.Run("kernel", func(t *testing.T) {
		lab, dp := companionLab(t, top)
		test(t, lab, dp)
	})
	t.Run("xdp", func(t *testing.T) {
		lab, dp := receiveLab(t, top, Options{})
		test(t, lab, dp)
	})
}

func groupSender(t *testing.T, lab *testenv.Lab, source string) *testenv.UDPSender {
	t.Helper()
	return testenv.NewUDPSenderT(t, lab.B.NS, testenv.UDPSenderOptions{Source: netip.MustParseAddrPort(source), Interface: lab.B.If.Index()})
}

// TestMemberships: a member gets its group, whatever it is bound to, until it leaves; who has not joined gets nothing. The kernel
// is a member too.
//
// Checklist item 55.
func TestMemberships(t *testing.T) {
	eachWay(t, testenv.Topology{}, func(t *testing.T, lab *testenv.Lab, dp *Datapath) {
		for _, tc := range []struct {
			bind, group, from string
			dual              bool
		}{
			{"0.0.0.0:7700", "239.7.7.1", "10.77.0.2:0", false},
			{"10.77.0.1:7701", "239.7.7.2", "10.77.0.2:0", false},
			{"239.7.7.3:7702", "239.7.7.3", "10.77.0.2:0", false},
			{"[::]:7703", "ff15::7701", "[fd77::2]:0", false},
			{"[fd77::1]:7704", "ff15::7702", "[fd77::2]:0", false},
			{"[::]:7705", "239.7.7.4", "10.77.0.2:0", true},
			{"[::ffff:10.77.0.1]:7706", "239.7.7.5", "10.77.0.2:0", true},
		} {
			t.Run(tc.bind, func(t *testing.T) {
				p, status := tryBind(t, dp, wsk.BindRequest{Local: netip.MustParseAddrPort(tc.bind), DualStack: tc.dual})
				mustSucceed(t, "bind", status)
				group := netip.MustParseAddr(tc.group)
				join := wsk.Membership{Group: group.As16(), IfIndex: uint32(lab.A.If.Index())}
				sender := groupSender(t, lab, tc.from)
				to := netip.AddrPortFrom(group, p.addr().Port())
				marker := bind(t, dp, map[bool]string{true: "10.77.0.1:7790", false: "[fd77::1]:7791"}[group.Is4()])
				silent := func(when string) {
					t.Helper()
					if err := sender.Send(to, []byte(when)); err != nil {
						t.Fatal(err)
					}
					if err := sender.Send(marker.addr(), nil); err != nil {
						t.Fatal(err)
					}
					marker.wait(1)
					if p.count() != 0 {
						t.Errorf("%s: %s", when, describe(&p.wait(1)[0]))
					}
				}
				silent("before the join")
				for round := range 2 {
					mustSucceed(t, "join", p.Change(join))
					if !joinedInKernel(t, lab, group) {
						t.Error("the kernel has not joined")
					}
					if status := p.Change(join); status != wsk.STATUS_ADDRESS_ALREADY_EXISTS {
						t.Errorf("second join: %v", status)
					}
					before := uint64(0)
					if dp.hub.Serves(uint32(lab.A.If.Index())) {
						before = received(t, dp).Delivered
					}
					if err := sender.Send(to, []byte("member")); err != nil {
						t.Fatal(err)
					}
					d := p.wait(1)[0]
					if d.Cast != wsk.Multicast || netip.AddrFrom16(d.Destination).Unmap() != group || int(d.IfIndex) != lab.A.If.Index() {
						t.Errorf("round %d: %s", round, describe(&d))
					}
					if dp.hub.Serves(uint32(lab.A.If.Index())) && received(t, dp).Delivered != before+1 {
						t.Error("it did not come through AF_XDP")
					}
					leave := join
					leave.Change = wsk.LeaveGroup
					mustSucceed(t, "leave", p.Change(leave))
					if joinedInKernel(t, lab, group) {
						t.Error("the kernel is still a member")
					}
					if status := p.Change(leave); status != wsk.STATUS_NOT_FOUND {
						t.Errorf("second leave: %v", status)
					}
					want := 0
					if p.addr().Addr() == group {
						want = 1 // the companion
					}
					if n := socketsOn(t, lab, group); n != want {
						t.Errorf("%d sockets are left on the group, want %d", n, want)
					}
					silent("after leaving")
				}
				mustSucceed(t, "join before close", p.Change(join))
				p.close()
				if joinedInKernel(t, lab, group) {
					t.Error("the kernel is still a member after close")
				}
				marker.close()
				for _, program := range dp.Info().Programs {
					if program.Ports != 0 {
						t.Errorf("%d ports are still in the program", program.Ports)
					}
				}
			})
		}
	})
}

// TestSourceFilters: sources are let in and kept out on both ways, as RFC 3678 has it.
func TestSourceFilters(t *testing.T) {
	eachWay(t, testenv.Topology{}, func(t *testing.T, lab *testenv.Lab, dp *Datapath) {
		for _, a := range []string{"10.77.0.22/24", "fd77::22/64"} {
			if err := lab.B.If.AddAddr(netip.MustParsePrefix(a)); err != nil {
				t.Fatal(err)
			}
		}
		for _, tc := range []struct{ bind, group, one, two string }{
			{"0.0.0.0:7710", "239.7.9.1", "10.77.0.2", "10.77.0.22"},
			{"10.77.0.1:7711", "239.7.9.2", "10.77.0.2", "10.77.0.22"},
			{"[::]:7712", "ff15::7901", "fd77::2", "fd77::22"},
		} {
			p := bind(t, dp, tc.bind)
			group, one, two := netip.MustParseAddr(tc.group), netip.MustParseAddr(tc.one), netip.MustParseAddr(tc.two)
			from1 := groupSender(t, lab, netip.AddrPortFrom(one, 0).String())
			from2 := groupSender(t, lab, netip.AddrPortFrom(two, 0).String())
			change := func(c wsk.MembershipChange, source netip.Addr, want wsk.NTSTATUS) {
				t.Helper()
				m := wsk.Membership{Change: c, Group: group.As16(), IfIndex: uint32(lab.A.If.Index())}
				if source.IsValid() {
					m.Source = source.As16()
				}
				if got := p.Change(m); got != want {
					t.Errorf("%s change %d of %v: %v, want %v", tc.bind, c, source, got, want)
				}
			}
			arrives := func(what ...string) {
				t.Helper()
				to := netip.AddrPortFrom(group, p.addr().Port())
				for _, s := range []struct {
					sender *testenv.UDPSender
					name   string
				}{{from1, "one"}, {from2, "two"}} {
					if err := s.sender.Send(to, []byte(s.name)); err != nil {
						t.Fatal(err)
					}
				}
				// Another group, joined without a filter, says when both have had their chance.
				marker := bind(t, dp, map[bool]string{true: "0.0.0.0:7790", false: "[::]:7791"}[group.Is4()])
				defer marker.close()
				mustSucceed(t, "join", marker.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(lab.A.If.Index())}))
				if err := from1.Send(netip.AddrPortFrom(group, marker.addr().Port()), nil); err != nil {
					t.Fatal(err)
				}
				marker.wait(1)
				got := p.wait(len(what))
				for i := range got {
					if string(got[i].Payload) != what[i] {
						t.Errorf("%s: %q, want %q", tc.bind, got[i].Payload, what[i])
					}
				}
			}
			none := netip.Addr{}
			change(wsk.BlockSource, one, wsk.STATUS_NOT_FOUND)
			change(wsk.JoinSource, one, wsk.STATUS_SUCCESS)
			arrives("one")
			change(wsk.JoinSource, one, wsk.STATUS_ADDRESS_ALREADY_EXISTS)
			change(wsk.BlockSource, one, wsk.STATUS_INVALID_PARAMETER)
			change(wsk.JoinSource, two, wsk.STATUS_SUCCESS)
			arrives("one", "two")
			change(wsk.LeaveSource, one, wsk.STATUS_SUCCESS)
			arrives("two")
			change(wsk.LeaveSource, one, wsk.STATUS_NOT_FOUND)
			change(wsk.LeaveSource, two, wsk.STATUS_SUCCESS)
			arrives()
			change(wsk.LeaveGroup, none, wsk.STATUS_NOT_FOUND)
			change(wsk.JoinGroup, none, wsk.STATUS_SUCCESS)
			arrives("one", "two")
			change(wsk.BlockSource, one, wsk.STATUS_SUCCESS)
			arrives("two")
			change(wsk.BlockSource, one, wsk.STATUS_ADDRESS_ALREADY_EXISTS)
			change(wsk.JoinSource, one, wsk.STATUS_INVALID_PARAMETER)
			change(wsk.UnblockSource, one, wsk.STATUS_SUCCESS)
			change(wsk.UnblockSource, one, wsk.STATUS_NOT_FOUND)
			arrives("one", "two")
			change(wsk.LeaveGroup, none, wsk.STATUS_SUCCESS)
			arrives()
		}
	})
}

// TestGroupGoesToAll: each member on a shared port gets the datagram, and memory is not shared between them.
//
// Multicast goes to all who have joined.
func TestGroupGoesToAll(t *testing.T) {
	eachWay(t, testenv.Topology{}, func(t *testing.T, lab *testenv.Lab, dp *Datapath) {
		group := netip.MustParseAddr("239.7.10.1")
		var members []*port
		for _, local := range []string{"0.0.0.0:7720", "0.0.0.0:7720", "10.77.0.1:7720", "10.77.0.1:7720"} {
			p, status := tryBind(t, dp, wsk.BindRequest{Local: netip.MustParseAddrPort(local), ReuseAddress: true})
			mustSucceed(t, "bind "+local, status)
			mustSucceed(t, "join", p.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(lab.A.If.Index())}))
			members = append(members, p)
		}
		outside, status := tryBind(t, dp, wsk.BindRequest{Local: netip.MustParseAddrPort("0.0.0.0:7720"), ReuseAddress: true})
		mustSucceed(t, "bind outside", status)
		sender := groupSender(t, lab, "10.77.0.2:0")
		const n = 50
		for i := range n {
			if err := sender.Send(netip.AddrPortFrom(group, 7720), []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range members {
			for i, d := range p.wait(n) {
				if len(d.Payload) != 1 || d.Payload[0] != byte(i) {
					t.Fatalf("datagram %d: %s", i, describe(&d))
				}
			}
		}
		// A broadcast goes to those bound to any address.
		if err := sender.Send(netip.MustParseAddrPort("10.77.0.255:7720"), []byte("all")); err != nil {
			t.Fatal(err)
		}
		members[0].wait(1)
		members[1].wait(1)
		outside.wait(1)
		for _, p := range members[2:] {
			if p.count() != 0 {
				t.Error("a broadcast went to a socket bound to one address")
			}
		}
	})
}

// TestCloseInsideBind: the routine of a bind may join and close before the endpoint has begun to receive. Nothing of it stays.
func TestCloseInsideBind(t *testing.T) {
	lab, dp := receiveLab(t, testenv.Topology{}, Options{})
	group := netip.MustParseAddr("239.7.11.1")
	for range 20 {
		open, _ := dp.OpenEndpoint(wsk.AF_INET, newCatcher(t))
		ep := open.(*endpoint)
		done := make(chan struct{})
		ep.Bind(wsk.BindRequest{Local: netip.MustParseAddrPort("10.77.0.1:7730")}, func(_ netip.AddrPort, status wsk.NTSTATUS) {
			mustSucceed(t, "bind", status)
			mustSucceed(t, "join", ep.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(lab.A.If.Index())}))
			ep.Abort()
			ep.Close(func() { close(done) })
		})
		<-done
	}
	local := netip.MustParseAddr("10.77.0.1").As16()
	known := dp.hub.Owner(7730, &local, 0) != nil
	if joinedInKernel(t, lab, group) || dp.Info().Programs[0].Ports != 0 || known || dp.companions.PortsHeld() != 0 {
		t.Errorf("joined %v, %d ports in the program, table %v, %d held", joinedInKernel(t, lab, group), dp.Info().Programs[0].Ports,
			known, dp.companions.PortsHeld())
	}
}

// TestGroupOnTwoInterfaces: an endpoint gets a group on every interface where it has joined it, and no more on the one where it has
// left, also a group of the link's scope, whose kernel socket belongs to one interface.
func TestGroupOnTwoInterfaces(t *testing.T) {
	eachWay(t, testenv.Topology{}, func(t *testing.T, lab *testenv.Lab, dp *Datapath) {
		upper, err := lab.A.If.Macvlan("upper", net.HardwareAddr{2, 0x77, 0, 0, 1, 1}, netip.MustParsePrefix("10.77.0.60/24"))
		if err != nil {
			t.Fatal(err)
		}
		if dp.hub.Serves(uint32(lab.A.If.Index())) {
			eventually(t, "the macvlan to be known", func() bool { return dp.hub.Serves(uint32(upper.Index())) })
		}
		interfaces := []int{lab.A.If.Index(), upper.Index()}
		for _, tc := range []struct{ bind, group, from string }{
			{"[fd77::1]:7740", "ff02::7740", "[fd77::2]:0"},
			{"[ff02::7743%" + strconv.Itoa(interfaces[0]) + "]:7743", "ff02::7743", "[fd77::2]:0"},
			{"[fd77::1]:7741", "ff15::7741", "[fd77::2]:0"},
			{"10.77.0.1:7742", "239.7.7.42", "10.77.0.2:0"},
		} {
			t.Run(tc.group, func(t *testing.T) {
				p := bind(t, dp, tc.bind)
				group := netip.MustParseAddr(tc.group)
				sender := groupSender(t, lab, tc.from)
				to := netip.AddrPortFrom(group, p.addr().Port())
				if group.IsLinkLocalMulticast() && group.Is6() {
					to = netip.AddrPortFrom(group.WithZone(lab.B.If.Name()), to.Port())
				}
				type arrival struct {
					payload string
					ifindex int
				}
				sent := 0
				// The device may learn of a group a moment after the join (macvlan, Linux 7.3): datagrams are sent until each
				// interface has had one.
				on := func(want ...int) {
					t.Helper()
					first, got := sent, map[arrival]int{}
					seen := map[int]bool{}
					eventually(t, fmt.Sprintf("arrivals on %v", want), func() bool {
						if err := sender.Send(to, fmt.Appendf(nil, "%06d", sent)); err != nil {
							t.Fatal(err)
						}
						sent++
						for _, d := range p.take() {
							if string(d.Payload) < fmt.Sprintf("%06d", first) {
								continue // from before the change
							}
							seen[int(d.IfIndex)] = true
							a := arrival{string(d.Payload), int(d.IfIndex)}
							if got[a]++; got[a] > 1 {
								t.Errorf("%v arrived twice", a)
							}
						}
						return len(seen) >= len(want) && sent-first >= 3
					})
					for _, i := range want {
						delete(seen, i)
					}
					if len(seen) != 0 {
						t.Errorf("arrived also on %v, want %v", seen, want)
					}
				}
				for _, i := range interfaces {
					mustSucceed(t, "join", p.Change(wsk.Membership{Group: group.As16(), IfIndex: uint32(i)}))
				}
				on(interfaces[0], interfaces[1])
				mustSucceed(t, "leave", p.Change(wsk.Membership{Change: wsk.LeaveGroup, Group: group.As16(), IfIndex: uint32(interfaces[0])}))
				on(interfaces[1])
				mustSucceed(t, "leave", p.Change(wsk.Membership{Change: wsk.LeaveGroup, Group: group.As16(), IfIndex: uint32(interfaces[1])}))
				want := 0
				if p.addr().Addr().WithZone("") == group {
					want = 1 // the companion
				}
				if n := socketsOn(t, lab, group); n != want {
					t.Errorf("%d sockets are left on the group, want %d", n, want)
				}
			})
		}
	})
}
