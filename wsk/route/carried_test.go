// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/frame"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

// stage is a host under test with devices that end in other namespaces, where everything that arrives is written down.
type stage struct {
	t   *testing.T
	ns  *testenv.Namespace // of the host
	h   *netlink.Handle
	out *testenv.Namespace // of the far ends
	// ends are where frames arrive.
	ends []end
	// neighbour is the MAC that the tests send to.
	neighbour [6]byte
	sockets   map[int]*xdp.Socket // by device
	chunk     int
	// takesTurns: a datagram leaves by either end, and which it is depends on what else the host sends.
	takesTurns bool
}

type end struct {
	name   string
	frames func() [][]byte
}

// Addresses of the device under test and of who is behind it.
var (
	stageAddrs = []netip.Prefix{netip.MustParsePrefix("10.66.0.1/24"), netip.MustParsePrefix("fd66::1/64")}
	stagePeers = []netip.Addr{netip.MustParseAddr("10.66.0.9"), netip.MustParseAddr("fd66::9")}
)

func newStage(t *testing.T) *stage {
	t.Helper()
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	s := &stage{t: t, ns: testenv.NewNamespaceT(t), out: testenv.NewNamespaceT(t), neighbour: [6]byte{2, 0x66, 0, 0, 0, 9}, sockets: map[int]*xdp.Socket{}}
	s.h = handle(t, s.ns)
	for _, ns := range []*testenv.Namespace{s.ns, s.out} {
		must(t, ns.Sysctl("ipv6/conf/default/autoconf", "0"))
	}
	return s
}

// link is a veth whose other end is an end of the stage.
func (s *stage) link(name string) netlink.Link {
	s.t.Helper()
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-far", PeerNamespace: netlink.NsFd(s.out.FD())}
	must(s.t, s.h.LinkAdd(v))
	l, err := s.h.LinkByName(name)
	must(s.t, err)
	must(s.t, s.h.LinkSetUp(l))
	far, err := testenv.FindIface(s.out, name+"-far")
	must(s.t, err)
	must(s.t, far.SetUp())
	// Until then the kernel's own datagrams are dropped, and those of AF_XDP, which pass no qdisc, are not.
	near, err := testenv.FindIface(s.ns, name)
	must(s.t, err)
	for _, i := range []*testenv.Iface{near, far} {
		must(s.t, i.AwaitOper(netlink.OperUp, patience))
	}
	s.tap(far)
	return l
}

// tap makes an interface an end of the stage.
func (s *stage) tap(i *testenv.Iface) {
	s.t.Helper()
	c := testenv.NewCaptureT(s.t, i, testenv.CaptureOptions{IncomingOnly: true})
	s.ends = append(s.ends, end{i.Name(), func() (list [][]byte) {
		for _, f := range c.Frames() {
			list = append(list, f.Data)
		}
		return list
	}})
}

// add makes a device, or skips the test where the kernel has no such kind: the guests of make test-vm do, and say so.
func (s *stage) add(l netlink.Link) netlink.Link {
	s.t.Helper()
	err := s.h.LinkAdd(l)
	if err != nil && (isUnsupported(err) || strings.Contains(err.Error(), "Unknown device type")) {
		if os.Getenv("WSKXDP_ALL_KINDS") != "" {
			s.t.Fatalf("%s: %v (this kernel is one that is to have every kind)", l.Type(), err)
		}
		s.t.Skipf("%s: %v: make test-vm runs this in guests", l.Type(), err)
	}
	must(s.t, err)
	made, err := s.h.LinkByName(l.Attrs().Name)
	must(s.t, err)
	return made
}

// upper finishes the device under test: addresses, neighbours, up.
func (s *stage) upper(l netlink.Link) {
	s.t.Helper()
	i, err := testenv.FindIface(s.ns, l.Attrs().Name)
	must(s.t, err)
	must(s.t, s.h.LinkSetUp(l))
	testenv.Eventually(s.t, patience, "carrier at "+i.Name(), func() bool {
		a, err := i.Attrs()
		return err == nil && (a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown)
	})
	for _, a := range stageAddrs {
		must(s.t, i.AddAddr(a))
	}
	for _, p := range stagePeers {
		must(s.t, i.SetNeighbour(p, s.neighbour[:]))
	}
}

// sent is one datagram of a comparison.
type sent struct {
	dst netip.Addr
	tos uint8
}

func everySort() (list []sent) {
	for _, dst := range []string{"10.66.0.9", "fd66::9", "10.66.0.255", "239.1.2.3", "ff05::1:3"} {
		for _, tos := range []uint8{0, 0x10, 0xb9} {
			list = append(list, sent{addr(dst), tos})
		}
	}
	return list
}

// compare sends everything by AF_XDP, as Transmit says, and by the kernel's own socket, and wants the same frames at the same ends,
// in the same numbers. bound is the name of the device that AF_XDP is to be bound to; obstacle is what unicast and
// broadcast, and what groups meet.
func (s *stage) compare(device, bound string, obstacle, forGroups ObstacleID) {
	s.t.Helper()
	table, err := Open(Options{NetNS: s.ns.FD()})
	must(s.t, err)
	defer table.Close()
	d, _ := table.DeviceByName(device)
	carried := 0
	for i, to := range everySort() {
		hop, err := table.Resolve(s.t.Context(), Query{Dst: to.dst, Interface: d.Index, TOS: to.tos})
		must(s.t, err)
		want := obstacle
		if hop.Kind == Multicast {
			want = forGroups
		}
		e, o := table.Transmit(hop, to.tos)
		if o.ID != want || o.ID == NoObstacle && e.Device.Name != bound {
			s.t.Errorf("%v TOS %#x: bound to %q, %v; want %q, %v", to.dst, to.tos, e.Device.Name, o, bound, want)
			continue
		}
		if o.ID != NoObstacle {
			continue
		}
		carried++
		for range 2 {
			s.byKernel(hop, to, fmt.Sprintf("kernel %d;", i))
		}
		for range 2 {
			s.byXDP(table, hop, e, to, fmt.Sprintf("af_xdp %d;", i))
		}
	}
	if carried == 0 {
		return
	}
	var kernel, xdps []string
	testenv.Poll(testenv.Context(s.t, patience/2), "the same from both", func() (bool, error) {
		kernel, xdps = s.arrived("kernel"), s.arrived("af_xdp")
		return len(kernel) >= carried && slices.Equal(kernel, xdps), nil
	})
	if len(kernel) < carried || !slices.Equal(kernel, xdps) {
		s.t.Errorf("of %d carried, %d arrived from the kernel and %d from AF_XDP (-kernel +AF_XDP):\n%s",
			2*carried, len(kernel), len(xdps), cmp.Diff(kernel, xdps))
	}
}

// arrived describes, in order, the datagrams of one sender at all ends.
func (s *stage) arrived(by string) (list []string) {
	for _, e := range s.ends {
		for _, f := range e.frames() {
			at := bytes.Index(f, []byte(by))
			if at < 0 {
				continue
			}
			p, err := testenv.Decode(f)
			where := e.name
			if s.takesTurns {
				where = "one of the ends"
			}
			what := fmt.Sprintf("%s: tags %x, %v to %v, %v to %v, TOS %#x, TTL %d, %s", where, p.VLANs, p.SourceMAC, p.DestinationMAC,
				p.Source, p.Destination, p.TOS, p.TTL, bytes.TrimPrefix(p.Payload, []byte(by)))
			if err != nil && !errors.Is(err, testenv.ErrBadChecksum) { // the kernel's is left to hardware that a veth doesn't have
				what += fmt.Sprintf(" (%v)", err)
			}
			list = append(list, what)
		}
	}
	slices.Sort(list)
	return list
}

const stagePort = 4000

func (s *stage) byKernel(hop Hop, to sent, payload string) {
	s.t.Helper()
	family, level, tos, ttl := unix.AF_INET, unix.IPPROTO_IP, unix.IP_TOS, unix.IP_MULTICAST_TTL
	var dst, src unix.Sockaddr
	if to.dst.Is4() {
		dst, src = &unix.SockaddrInet4{Port: 9, Addr: to.dst.As4()}, &unix.SockaddrInet4{Port: stagePort}
	} else {
		family, level, tos, ttl = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, unix.IPV6_MULTICAST_HOPS
		dst, src = &unix.SockaddrInet6{Port: 9, Addr: to.dst.As16()}, &unix.SockaddrInet6{Port: stagePort}
	}
	fd, err := s.ns.Socket(family, unix.SOCK_DGRAM, 0)
	must(s.t, err)
	defer unix.Close(fd)
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_BROADCAST, 1}, {unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, hop.Interface},
		{unix.SOL_SOCKET, unix.SO_NO_CHECK, 0}, {level, tos, int(to.tos)}, {level, ttl, frame.DefaultTTL},
	} {
		must(s.t, unix.SetsockoptInt(fd, o.level, o.name, o.value))
	}
	must(s.t, unix.Bind(fd, src))
	must(s.t, unix.Sendto(fd, []byte(payload), 0, dst))
}

func (s *stage) byXDP(table *Table, hop Hop, e Egress, to sent, payload string) {
	s.t.Helper()
	mac, err := table.Neighbour(s.t.Context(), hop.Interface, hop.Gateway)
	must(s.t, err)
	flow := frame.Flow{
		SrcMAC: frame.MAC(hop.Device.MAC), DstMAC: frame.MAC(mac), TOS: to.tos,
		Src: netip.AddrPortFrom(hop.Source, stagePort), Dst: netip.AddrPortFrom(to.dst, 9),
	}
	for _, v := range e.VLANs {
		flow.VLANs = append(flow.VLANs, frame.VLANTag{TPID: v.Proto, ID: v.ID, PCP: v.Priority})
	}
	template, err := frame.NewTemplate(flow)
	must(s.t, err)
	q := s.socket(e.Device.Index)
	_, done := q.Completion().Peek(64)
	q.Completion().Release(done)
	at := q.UMEM().Addr(s.chunk % 64) // copy mode: what was kicked has been copied
	s.chunk++
	chunk := q.UMEM().Chunk(at)
	n := template.HeaderLen()
	n += copy(chunk[n:], payload)
	var sum frame.Sum
	sum.Add(chunk[template.HeaderLen():n])
	template.PutHeaders(chunk, len(payload), 1, sum)
	slot, _ := q.TX().Reserve(1)
	q.TX().Set(slot, xdp.Desc{Addr: at, Len: uint32(n)})
	q.TX().Submit(1)
	if errno, _ := q.KickIfNeeded(); errno != 0 && errno != unix.EBUSY {
		s.t.Fatalf("kick at %s: %v", e.Device.Name, errno)
	}
}

// socket is the AF_XDP socket of a device.
func (s *stage) socket(index int) *xdp.Socket {
	s.t.Helper()
	if q := s.sockets[index]; q != nil {
		return q
	}
	var q *xdp.Socket
	must(s.t, s.ns.Do(func() (err error) {
		q, err = xdp.Open(xdp.Options{IfIndex: index, Mode: xdp.ModeCopy, TxChunks: 64})
		return err
	}))
	s.t.Cleanup(func() { q.Close() })
	s.sockets[index] = q
	return q
}

// bridge makes a bridge with ports.
func (s *stage) bridge(name string, filtering, snooping bool, ports ...netlink.Link) netlink.Link {
	s.t.Helper()
	b := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}, MulticastSnooping: &snooping}
	if filtering {
		b.VlanFiltering = &filtering
	}
	l := s.add(b)
	for _, p := range ports {
		must(s.t, s.h.LinkSetMaster(p, l))
	}
	return l
}

func hardware(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0x66, 0, 0, 0, last} }
