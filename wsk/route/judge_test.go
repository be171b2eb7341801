// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// judge is the kernel's own UDP socket: it sends what a query asks about, and says where it went.
type judge struct {
	t     *testing.T
	lab   *testenv.Lab
	links []*testenv.Iface // of A
	taps  []*testenv.Capture
	sent  int
}

// verdict is what the kernel did.
type verdict struct {
	index  int // 0: it refused with err
	source netip.Addr
	to     [6]byte
	err    error
}

// newJudge adds links to A, each with a MAC behind every address that the tests send to, and a tap.
func newJudge(t *testing.T, lab *testenv.Lab, more ...string) *judge {
	t.Helper()
	j := &judge{t: t, lab: lab, links: []*testenv.Iface{lab.A.If}}
	h := handle(t, lab.A.NS)
	for _, name := range more {
		must(t, addPair(h, name))
		must(t, setUp(h, name, name+"-end"))
		i, err := testenv.FindIface(lab.A.NS, name)
		must(t, err)
		j.links = append(j.links, i)
		testenv.Eventually(t, patience, "the link-local address of "+name, func() bool {
			list, err := h.AddrList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: i.Index(), Name: name}}, unix.AF_INET6)
			return err == nil && len(list) > 0 && list[0].Flags&unix.IFA_F_TENTATIVE == 0
		})
	}
	for _, i := range j.links {
		tap, err := testenv.NewCapture(i, testenv.CaptureOptions{})
		must(t, err)
		t.Cleanup(func() { tap.Close() })
		j.taps = append(j.taps, tap)
	}
	return j
}

// knows enters a neighbour on a link; its MAC ends in the link's number and the last octet of the address.
func (j *judge) knows(link int, ips ...string) {
	j.t.Helper()
	for _, s := range ips {
		ip := addr(s)
		last := ip.AsSlice()[len(ip.AsSlice())-1]
		must(j.t, j.links[link].SetNeighbour(ip, []byte{2, 0x88, 0, 0, byte(link), last}))
	}
}

// send lets the kernel send.
func (j *judge) send(q Query) verdict {
	j.t.Helper()
	v, _ := j.watch(q)
	return v
}

// label is the flow label that the kernel sends.
func (j *judge) label(q Query) uint32 {
	j.t.Helper()
	v, p := j.watch(q)
	must(j.t, v.err)
	return p.FlowLabel
}

func (j *judge) watch(q Query) (verdict, *testenv.Packet) {
	j.t.Helper()
	j.sent++
	payload := fmt.Appendf(nil, "judged %d of %s", j.sent, j.t.Name())
	if err := j.transmit(q, payload); err != nil {
		return verdict{err: err}, nil
	}
	ctx, cancel := context.WithTimeout(j.t.Context(), testenv.Patience(patience))
	defer cancel()
	type found struct {
		link  int
		frame testenv.Frame
	}
	seen := make(chan found, len(j.taps))
	for i, tap := range j.taps {
		go func() {
			f, err := tap.Wait(ctx, func(f testenv.Frame) bool { return f.Outgoing && bytes.Contains(f.Data, payload) })
			if err == nil {
				seen <- found{i, f}
			}
		}()
	}
	select {
	case f := <-seen:
		p, err := testenv.Decode(f.frame.Data)
		if err != nil && !errors.Is(err, testenv.ErrBadChecksum) {
			j.t.Fatal(err)
		}
		return verdict{index: j.links[f.link].Index(), source: p.Source, to: [6]byte(p.DestinationMAC)}, p
	case <-ctx.Done():
		j.t.Fatalf("%+v: the kernel's datagram left by none of the links", q)
		return verdict{}, nil
	}
}

// transmit sends from a socket with the properties of q.
func (j *judge) transmit(q Query, payload []byte) error {
	fd := -1
	must(j.t, j.lab.A.NS.Do(func() (err error) {
		if q.Owner.another {
			runtime.LockOSThread() // Do has locked it too; the fsuid is the thread's
			defer runtime.UnlockOSThread()
			if err := unix.Setfsuid(int(q.Owner.uid)); err != nil {
				return err
			}
			defer unix.Setfsuid(unix.Geteuid())
		}
		family := unix.AF_INET
		if q.Dst.Is6() {
			family = unix.AF_INET6
		}
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	defer unix.Close(fd)
	set := func(level, name, value int) { j.t.Helper(); must(j.t, unix.SetsockoptInt(fd, level, name, value)) }
	set(unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	if q.Bound != 0 {
		must(j.t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, q.Bound))
	}
	if q.Mark != 0 {
		set(unix.SOL_SOCKET, unix.SO_MARK, int(q.Mark))
	}
	var to, from unix.Sockaddr
	var control []byte
	if q.Dst.Is4() {
		set(unix.IPPROTO_IP, unix.IP_TOS, int(q.TOS))
		local := &unix.SockaddrInet4{Port: int(q.SrcPort)}
		if q.Src.IsValid() {
			local.Addr = q.Src.As4()
		}
		from, to = local, &unix.SockaddrInet4{Port: int(q.DstPort), Addr: q.Dst.As4()}
		if q.Interface != 0 {
			control = unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(q.Interface), Spec_dst: local.Addr})
		}
	} else {
		set(unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(q.TOS))
		local := &unix.SockaddrInet6{Port: int(q.SrcPort)}
		if q.Src.IsValid() {
			local.Addr, local.ZoneId = q.Src.As16(), j.zone(q.Src)
		}
		from, to = local, &unix.SockaddrInet6{Port: int(q.DstPort), Addr: q.Dst.As16(), ZoneId: j.zone(q.Dst)}
		if q.Interface != 0 {
			control = unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(q.Interface)})
		}
	}
	if err := unix.Bind(fd, from); err != nil {
		j.t.Fatalf("%+v: bind: %v", q, err)
	}
	return unix.Sendmsg(fd, payload, control, to, 0)
}

func (j *judge) zone(ip netip.Addr) uint32 {
	for _, i := range j.links {
		if i.Name() == ip.Zone() {
			return uint32(i.Index())
		}
	}
	return 0
}

// compare asks the table and the kernel and wants the same answer.
func (j *judge) compare(table *Table, q Query) {
	j.t.Helper()
	want := j.send(q)
	got, err := table.Resolve(j.t.Context(), q)
	switch {
	case want.err != nil:
		if !errors.Is(err, want.err) {
			j.t.Errorf("%+v: %+v, %v; the kernel says %v", q, got, err, want.err)
		}
		return
	case err != nil:
		j.t.Errorf("%+v: %v; the kernel sends by %d from %v", q, err, want.index, want.source)
		return
	}
	if got.Interface != want.index || got.Source.WithZone("") != want.source {
		j.t.Errorf("%+v: by %d from %v; the kernel sends by %d from %v", q, got.Interface, got.Source, want.index, want.source)
		return
	}
	mac, err := table.Neighbour(j.t.Context(), got.Interface, got.Gateway)
	if err != nil || mac != want.to {
		j.t.Errorf("%+v: to %x (%v), %v; the kernel sends to %x", q, mac, got.Gateway, err, want.to)
	}
}

// rule adds a policy rule and returns nothing: it goes with the namespace.
func rule(t *testing.T, h *netlink.Handle, family int, set func(*netlink.Rule)) {
	t.Helper()
	r := netlink.NewRule()
	r.Family, r.Priority = family, 100
	set(r)
	must(t, h.RuleAdd(r))
}
