// SPDX-License-Identifier: Apache-2.0

//go:build linux

package ipsec

import (
	"errors"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

const port = 4000

// sorts are the flows of a comparison: both families, two ports, a mark. A is 10.77.0.1, B .2.
func sorts(d Direction, index int) (list []Flow) {
	for _, pair := range [][2]string{{"10.77.0.1", "10.77.0.2"}, {"fd77::1", "fd77::2"}} {
		src, dst := addr(pair[0]), addr(pair[1])
		if d == In {
			src, dst = dst, src
		}
		for _, p := range []uint16{9, 53} {
			list = append(list, Flow{Src: src, Dst: dst, SrcPort: port, DstPort: p, Interface: index})
			if d == Out {
				list = append(list, Flow{Src: src, Dst: dst, SrcPort: port, DstPort: p, Interface: index, Mark: 7})
			}
		}
	}
	return list
}

// What we say of a datagram is what the kernel does with it.
func TestSelectsAsTheKernel(t *testing.T) {
	for name, test := range map[string]struct {
		policies []made
		defaults []byte // in, fwd, out
		// stronger: the kernel may do less than we say.
		stronger bool
	}{
		"none":              {},
		"all out":           {policies: []made{{direction: Out, transform: true}}},
		"all out, IPv6":     {policies: []made{{direction: Out, transform: true, dst: "::/0"}}},
		"destination":       {policies: []made{{direction: Out, transform: true, dst: "10.77.0.2/32"}, {direction: Out, block: true, dst: "fd77::2/128"}}},
		"other destination": {policies: []made{{direction: Out, transform: true, dst: "10.77.0.3/32"}}},
		"source":            {policies: []made{{direction: Out, block: true, src: "10.77.0.1/32"}}},
		"port": {policies: []made{
			{direction: Out, transform: true, dport: 53, protocol: unix.IPPROTO_UDP}, {direction: Out, block: true, dst: "::/0", dport: 53},
		}},
		"source port":    {policies: []made{{direction: Out, block: true, sport: port}}},
		"other protocol": {policies: []made{{direction: Out, block: true, protocol: unix.IPPROTO_TCP}}},
		"mark":           {policies: []made{{direction: Out, block: true, mark: 7, markMask: 0xff}}},
		"priority": {policies: []made{
			{direction: Out, block: true, priority: 20}, {direction: Out, priority: 10, dport: 53},
			{direction: Out, block: true, priority: 10, dst: "::/0", dport: 53}, {direction: Out, priority: 20, dst: "::/0"},
		}},
		"xfrm interface": {policies: []made{{direction: Out, block: true, interfaceID: 5}}},
		"device":         {policies: []made{{direction: Out, block: true, index: 10}, {direction: Out, block: true, index: 10, dst: "::/0"}}, stronger: true},
		"other device":   {policies: []made{{direction: Out, block: true, index: 99}}},
		"sub and main": {policies: []made{
			{direction: Out, sub: true, dport: 53}, {direction: Out, block: true, priority: 1},
			{direction: Out, sub: true, block: true, dst: "::/0", dport: 9},
		}},
		"in":          {policies: []made{{direction: In, block: true, dport: 53}, {direction: In, transform: true, dst: "::/0"}}},
		"in optional": {policies: []made{{direction: In, transform: true, optional: true}}},
		"in from":     {policies: []made{{direction: In, block: true, src: "10.77.0.2/32"}, {direction: In, block: true, src: "fd77::3/128"}}},
		"default out": {defaults: []byte{2, 2, 1}, policies: []made{{direction: Out, dport: 53}}},
		"default in":  {defaults: []byte{1, 2, 2}, policies: []made{{direction: In, dport: 53}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			watcher := watch(t, w.lab.A.NS, nil)
			if p := watcher.Policies(); p != nil {
				t.Fatalf("%+v before any was made", p)
			}
			for _, m := range test.policies {
				request(t, w.lab.A.NS, int(nl.XFRM_MSG_NEWPOLICY), m.body())
			}
			if test.defaults != nil {
				request(t, w.lab.A.NS, setDefault, append(test.defaults, 0))
			}
			// A policy that changes nothing we see ends the wait for all that do.
			last := made{direction: Out, block: true, dst: "203.0.113.77/32", priority: 999}
			request(t, w.lab.A.NS, int(nl.XFRM_MSG_NEWPOLICY), last.body())
			testenv.Eventually(t, patience, "the policies", func() bool {
				p := watcher.Policies()
				return p != nil && slices.ContainsFunc(p.list[Out], func(x policy) bool { return x.selector.dst.String() == last.dst })
			})
			p := watcher.Policies()
			must(t, p.Unreadable())
			index := w.lab.A.If.Index()
			for _, f := range sorts(Out, index) {
				got, want := p.Selects(Out, f), w.leaves(f)
				if got != want && (!test.stronger || got < want) {
					t.Errorf("out, %+v: %v; the kernel: %v", f, got, want)
				}
			}
			for _, f := range sorts(In, index) {
				got, want := p.Selects(In, f) == None, w.arrives(f)
				if got != want {
					t.Errorf("in, %+v: passes %v; the kernel: %v", f, got, want)
				}
				if restricts := p.Restricts(netip.AddrPortFrom(f.Dst, f.DstPort)); !want && !restricts {
					t.Errorf("in, %+v: nobody is said to be kept out", f)
				}
			}
		})
	}
}

// Policies are followed as they come and go, and without any there is no snapshot.
func TestFollowsChanges(t *testing.T) {
	w := newWorld(t)
	told := make(chan struct{}, 64)
	watcher := watch(t, w.lab.A.NS, func() { told <- struct{}{} })
	f := Flow{Src: addr("10.77.0.1"), Dst: addr("::ffff:10.77.0.2"), DstPort: 9}
	policy := made{direction: Out, block: true, dst: "10.77.0.2/32"}
	src, dst := policy.prefixes()
	// struct xfrm_userpolicy_id: a selector, an index, a direction.
	id := append(append([]byte(nil), policy.body()[:selectorLen]...), 0, 0, 0, 0, uint8(Out), 0, 0, 0)
	for range 3 {
		request(t, w.lab.A.NS, int(nl.XFRM_MSG_NEWPOLICY), policy.body())
		testenv.Eventually(t, patience, "the policy", func() bool { return watcher.Policies().Selects(Out, f) == Block })
		<-told
		request(t, w.lab.A.NS, int(nl.XFRM_MSG_DELPOLICY), id)
		testenv.Eventually(t, patience, "no policy", func() bool { return watcher.Policies() == nil })
		<-told
	}
	// One that lets everything pass is as good as none.
	request(t, w.lab.A.NS, int(nl.XFRM_MSG_NEWPOLICY), made{direction: Out, src: src.String(), dst: dst.String()}.body())
	request(t, w.lab.A.NS, int(nl.XFRM_MSG_NEWPOLICY), made{direction: Out, transform: true, dst: "fd77::/64"}.body())
	testenv.Eventually(t, patience, "the policy for IPv6", func() bool { return watcher.Policies() != nil })
	request(t, w.lab.A.NS, int(nl.XFRM_MSG_FLUSHPOLICY), nil)
	testenv.Eventually(t, patience, "no policies", func() bool { return watcher.Policies() == nil })
	watcher.Close()
	watcher.Close()
}

// Many policies at once end in the right ones, whatever was lost on the way.
func TestStorm(t *testing.T) {
	w := newWorld(t)
	watcher := watch(t, w.lab.A.NS, nil)
	must(t, watcher.events.SetReceiveBufferSize(1, false))
	for i := range 300 {
		dst := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, byte(i >> 8), byte(i)}), 32)
		request(t, w.lab.A.NS, int(nl.XFRM_MSG_NEWPOLICY), made{direction: Out, block: true, dst: dst.String()}.body())
	}
	testenv.Eventually(t, patience, "the last one", func() bool {
		p := watcher.Policies()
		return p.Selects(Out, Flow{Src: addr("10.77.0.1"), Dst: addr("10.99.1.43")}) == Block && len(p.list[Out]) == 300
	})
}

// Without the right to read them nothing is known, and said so.
func TestUnreadable(t *testing.T) {
	p := newPolicies(nil, [2]Verdict{}, unix.EPERM)
	if p == nil || p.Unreadable() != unix.EPERM || p.Selects(Out, Flow{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2")}) != Transform ||
		!p.Restricts(netip.MustParseAddrPort("10.0.0.1:9")) {
		t.Errorf("%+v", p)
	}
	var none *Policies
	if none.Unreadable() != nil || none.Selects(In, Flow{}) != None || none.Restricts(netip.AddrPort{}) {
		t.Error("no policies select something")
	}
}

// TestUnreadableClosesNothingElse: a watcher that may not listen leaves nothing behind that closes descriptors of others, which have the
// number of its socket by the time of the next collection.
func TestUnreadableClosesNothingElse(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab := testenv.NewLabT(t, testenv.Topology{})
	err := lab.A.NS.Do(func() error { // on a thread of its own
		regain, err := testenv.DropCapabilities(unix.CAP_NET_ADMIN)
		if err != nil {
			return err
		}
		w, err := Watch(slog.New(slog.DiscardHandler), false, func() {})
		if err == nil && w.Policies().Unreadable() == nil {
			t.Error("the policies can be read without the right to")
		}
		w.Close()
		return errors.Join(err, regain())
	})
	if err != nil {
		t.Fatal(err)
	}
	var others []int
	for range 64 {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, fd)
	}
	for range 3 { // a collection finds what is unused, and its end is known by what was unused as well
		cleaned := make(chan struct{})
		runtime.AddCleanup(new([64]byte), func(c chan struct{}) { close(c) }, cleaned)
		runtime.GC()
		<-cleaned
	}
	for _, fd := range others {
		if err := unix.Close(fd); err != nil {
			t.Errorf("descriptor %d was closed by somebody else: %v", fd, err)
		}
	}
}

func TestSelectsDoesNotAllocate(t *testing.T) {
	var all []policy
	for _, m := range []made{{direction: Out, block: true, dport: 1}, {direction: Out, sub: true, transform: true}} {
		p, ok := parsePolicy(m.body())
		if !ok {
			t.Fatalf("%+v is not read", m)
		}
		all = append(all, p)
	}
	p := newPolicies(all, [2]Verdict{}, nil)
	f := Flow{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), DstPort: 9}
	if p.Selects(Out, f) != Transform {
		t.Error(p.Selects(Out, f))
	}
	if n := testing.AllocsPerRun(100, func() { p.Selects(Out, f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Nothing that a message says can do more than be a policy that holds together.
func FuzzParse(f *testing.F) {
	for _, m := range []made{
		{}, {direction: Out, block: true, sub: true, mark: 1, markMask: 3}, {direction: In, transform: true, optional: true, dst: "fd00::/8"},
		{direction: Out, transform: true, interfaceID: 4},
	} {
		f.Add(m.body())
	}
	f.Add([]byte{1, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		parseDefaults(b)
		p, ok := parsePolicy(b)
		if !ok {
			return
		}
		if p.direction > Out || p.verdict > Block || !p.selector.dst.IsValid() || p.selector.dst.Addr().Is4() != p.selector.is4 {
			t.Fatalf("%+v", p)
		}
		all := newPolicies([]policy{p, p}, [2]Verdict{}, nil)
		for _, dst := range []netip.Addr{addr("10.0.0.1"), addr("fd00::1"), {}} {
			if v := all.Selects(p.direction, Flow{Src: dst, Dst: dst, Interface: int(p.selector.index)}); v > Block {
				t.Fatalf("%v", v)
			}
			all.Restricts(netip.AddrPortFrom(dst, 9))
		}
	})
}
