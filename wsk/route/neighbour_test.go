// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// eachProbe runs a test with both ways to make the kernel ask.
func eachProbe(t *testing.T, f func(t *testing.T, o Options)) {
	t.Run("ntf-use", func(t *testing.T) { f(t, Options{}) })
	t.Run("datagram", func(t *testing.T) { f(t, Options{datagramProbe: true}) })
}

func (w *watch) neighbour(t *testing.T, ip netip.Addr, usable bool) Event {
	t.Helper()
	return w.wait(t, fmt.Sprintf("neighbour %v usable %v", ip, usable), func(e Event) bool {
		return e.Kind == NeighbourChanged && e.Neighbour == ip && e.Usable == usable
	})
}

func TestNeighbourAnswers(t *testing.T) {
	eachProbe(t, func(t *testing.T, o Options) {
		lab := newLab(t, testenv.Topology{})
		table := open(t, lab, o)
		index, mac := lab.A.If.Index(), [6]byte(lab.B.If.MAC())
		for _, ip := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
			if got, ok := table.NeighbourNow(index, ip); ok {
				t.Errorf("%v is known as %x before anybody asked", ip, got)
			}
			got, err := table.Neighbour(t.Context(), index, ip)
			if err != nil || got != mac {
				t.Errorf("%v: %x, %v; want %x", ip, got, err, mac)
			}
			testenv.Eventually(t, patience, "the snapshot", func() bool {
				got, ok := table.NeighbourNow(index, ip)
				return ok && got == mac
			})
		}
		if got, err := table.Neighbour(t.Context(), index, addr("::ffff:10.77.0.2")); err != nil || got != mac {
			t.Errorf("mapped: %x, %v", got, err)
		}
		if got, err := table.Neighbour(t.Context(), index, addr("239.1.2.3")); err != nil || got != [6]byte{1, 0, 0x5e, 1, 2, 3} {
			t.Errorf("multicast: %x, %v", got, err)
		}
	})
}

// A gateway that is on the link though the routes say otherwise ("onlink") is resolved too.
func TestNeighbourOffLink(t *testing.T) {
	eachProbe(t, func(t *testing.T, o Options) {
		lab := newLab(t, testenv.Topology{})
		gateway := netip.MustParsePrefix("10.9.9.9/32")
		must(t, lab.B.If.AddAddr(gateway))
		must(t, lab.A.If.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), addr("10.77.0.77")))
		table := open(t, lab, o)
		got, err := table.Neighbour(t.Context(), lab.A.If.Index(), gateway.Addr())
		if err != nil || got != [6]byte(lab.B.If.MAC()) {
			t.Errorf("%x, %v", got, err)
		}
	})
}

func TestNeighbourFails(t *testing.T) {
	eachProbe(t, func(t *testing.T, o Options) {
		lab := newLab(t, testenv.Topology{})
		must(t, lab.B.If.Silence())
		// The kernel gives up long before the table does.
		must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/retrans_time_ms", "50"))
		must(t, lab.A.NS.Sysctl("ipv6/neigh/wsk0/retrans_time_ms", "50"))
		o.NeighbourTimeout = time.Hour
		table := open(t, lab, o)
		for _, ip := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
			for range 2 { // a failure isn't remembered: the second one is asked for as well
				start := time.Now()
				_, err := table.Neighbour(testenv.Context(t, patience), lab.A.If.Index(), ip)
				if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrNoDevice) {
					t.Fatalf("%v: %v", ip, err)
				}
				if took := time.Since(start); took < 50*time.Millisecond {
					t.Errorf("%v: failed after %v", ip, took)
				}
			}
		}
		must(t, lab.B.If.Speak())
		for _, ip := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
			if _, err := table.Neighbour(t.Context(), lab.A.If.Index(), ip); err != nil {
				t.Errorf("%v after its failure: %v", ip, err)
			}
		}
	})
}

func TestNeighbourWaitIsBounded(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	must(t, lab.B.If.Silence())
	must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/mcast_solicit", "1000")) // the kernel gives up long after
	const timeout = 60 * time.Millisecond
	table := open(t, lab, Options{NeighbourTimeout: timeout})
	start := time.Now()
	_, err := table.Neighbour(testenv.Context(t, patience), lab.A.If.Index(), lab.B.IPv4())
	if took := time.Since(start); !errors.Is(err, ErrUnreachable) || took < timeout {
		t.Errorf("%v after %v", err, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout/2)
	defer cancel()
	if _, err := table.Neighbour(ctx, lab.A.If.Index(), lab.B.IPv4()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("context: %v", err)
	}
	if _, err := table.Neighbour(t.Context(), 12345, lab.B.IPv4()); !errors.Is(err, ErrNoDevice) {
		t.Errorf("no such interface: %v", err)
	}
	if _, err := table.Neighbour(t.Context(), lab.A.If.Index(), netip.Addr{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no address: %v", err)
	}
	if n := len(table.waiting.wanted); n != 0 {
		t.Errorf("%d resolutions are left", n)
	}
}

// Many waiters for one neighbour share one question; other neighbours don't wait for it.
func TestNeighbourWaiters(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	other := netip.MustParsePrefix("10.77.0.3/24")
	must(t, lab.B.If.AddAddr(other))
	index, mac := lab.A.If.Index(), [6]byte(lab.B.If.MAC())
	must(t, handle(t, lab.A.NS).NeighAdd(&netlink.Neigh{
		LinkIndex: index, Family: unix.AF_INET, State: unix.NUD_PERMANENT, IP: other.Addr().AsSlice(), HardwareAddr: mac[:],
	}))
	must(t, lab.B.If.Silence())
	table := open(t, lab, Options{NeighbourTimeout: patience})
	const waiters = 20
	results := make(chan error, waiters)
	var wg sync.WaitGroup
	for range waiters {
		wg.Add(1)
		go func() {
			defer wg.Done()
			got, err := table.Neighbour(context.Background(), index, lab.B.IPv4())
			if err == nil && got != mac {
				err = fmt.Errorf("got %x", got)
			}
			results <- err
		}()
	}
	k := neighbourKey{index, lab.B.IPv4()}
	testenv.Eventually(t, patience, "all waiters", func() bool {
		table.waiting.mu.Lock()
		defer table.waiting.mu.Unlock()
		r := table.waiting.wanted[k]
		return r != nil && len(r.waiters) == waiters
	})
	if got, err := table.Neighbour(t.Context(), index, other.Addr()); err != nil || got != mac {
		t.Errorf("the other neighbour: %x, %v", got, err)
	}
	select {
	case err := <-results:
		t.Fatalf("a waiter came back before there was an answer: %v", err)
	default:
	}
	must(t, lab.B.If.Speak())
	wg.Wait()
	for range waiters {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestNeighbourDeviceDeleted(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	must(t, lab.B.If.Silence())
	table := open(t, lab, Options{NeighbourTimeout: patience})
	index := lab.A.If.Index()
	result := make(chan error)
	go func() {
		_, err := table.Neighbour(context.Background(), index, lab.B.IPv4())
		result <- err
	}()
	testenv.Eventually(t, patience, "the waiter", func() bool {
		r := table.waiting.find(neighbourKey{index, lab.B.IPv4()})
		return r != nil && r.solicited.Load()
	})
	must(t, lab.A.If.Delete())
	if err := <-result; !errors.Is(err, ErrNoDevice) {
		t.Error(err)
	}
}

// A permanent entry that the table hasn't heard of yet must survive being asked for: NTF_USE would make it an ordinary one.
func TestNeighbourPermanentStays(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 0x99}
	ip := lab.B.IPv4()
	blocked, release := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(release) })
	defer goOn()
	var once sync.Once
	defer table.Subscribe(func(Event) { once.Do(func() { close(blocked); <-release }) })()
	must(t, lab.A.If.AddAddr(netip.MustParsePrefix("10.88.0.1/32")))
	<-blocked // the table's goroutine stands still
	must(t, lab.A.If.SetNeighbour(ip, mac))
	got, err := table.Neighbour(t.Context(), lab.A.If.Index(), ip)
	if err != nil || got != [6]byte(mac) {
		t.Errorf("%x, %v", got, err)
	}
	entry, ok, err := lab.A.If.Neighbour(ip)
	must(t, err)
	if !ok || entry.State != unix.NUD_PERMANENT || entry.HardwareAddr.String() != mac.String() {
		t.Errorf("the entry is now %+v", entry)
	}
}

// A neighbour in use that comes back with another MAC bumps the generation when it announces that; one that nobody uses doesn't.
func TestNeighbourMoves(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	must(t, lab.B.NS.Sysctl("ipv4/conf/wsk1/arp_notify", "1"))
	must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/base_reachable_time_ms", "3600000")) // nothing but the announcement tells it
	table := open(t, lab, Options{})
	w := newWatch(t, table)
	index, ip := lab.A.If.Index(), lab.B.IPv4()
	_, err := table.Neighbour(t.Context(), index, ip)
	must(t, err)
	w.neighbour(t, ip, true)
	settle(t, lab, table)
	gen := table.Generation()
	next := net.HardwareAddr{2, 0x77, 0, 0, 0, 0xcc}
	must(t, lab.B.If.SetMAC(next))
	e := w.neighbour(t, ip, true)
	if e.MAC != [6]byte(next) {
		t.Errorf("event %+v", e)
	}
	if now := table.Generation(); now != gen+1 {
		t.Errorf("generation %d, was %d", now, gen)
	}
	if got, ok := table.NeighbourNow(index, ip); !ok || got != [6]byte(next) {
		t.Errorf("%x, %v", got, ok)
	}
	// Nobody uses this one.
	unused := addr("10.77.0.77")
	settled := table.Generation()
	for _, last := range []byte{1, 2} {
		must(t, lab.A.If.SetNeighbour(unused, net.HardwareAddr{2, 0, 0, 0, 0, last}))
	}
	testenv.Eventually(t, patience, "the unused neighbour", func() bool {
		return table.snap.Load().macs[neighbourKey{index, unused}] == [6]byte{2, 0, 0, 0, 0, 2}
	})
	if now := table.Generation(); now != settled {
		t.Errorf("generation %d for a neighbour that nobody uses, was %d", now, settled)
	}
}

// When the carrier goes the kernel forgets the neighbours. One in use is asked for again, and nothing is rebuilt when
// it is the same.
func TestNeighbourForgotten(t *testing.T) {
	eachProbe(t, func(t *testing.T, o Options) {
		lab := newLab(t, testenv.Topology{NoIPv6: true})
		must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/retrans_time_ms", "100"))
		must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/mcast_solicit", "50"))
		table := open(t, lab, o)
		w := newWatch(t, table)
		index, ip := lab.A.If.Index(), lab.B.IPv4()
		_, err := table.Neighbour(t.Context(), index, ip)
		must(t, err)
		w.neighbour(t, ip, true)
		settle(t, lab, table)
		gen := table.Generation()
		must(t, lab.B.If.SetDown())
		w.neighbour(t, ip, false)
		must(t, lab.B.If.SetUp())
		w.neighbour(t, ip, true)
		if now := table.Generation(); now != gen {
			t.Errorf("generation %d, was %d", now, gen)
		}
		// When it doesn't come back, users learn of it.
		must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/mcast_solicit", "2"))
		grows(t, table, "the failure", lab.B.If.SetDown)
		if got, ok := table.NeighbourNow(index, ip); ok {
			t.Errorf("still known as %x", got)
		}
	})
}

// An entry that the administrator deletes has failed as far as the kernel says, and so it is for the users.
func TestNeighbourDeleted(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	w := newWatch(t, table)
	index, ip := lab.A.If.Index(), lab.B.IPv4()
	_, err := table.Neighbour(t.Context(), index, ip)
	must(t, err)
	w.neighbour(t, ip, true)
	grows(t, table, "the deletion", func() error { return lab.A.If.DeleteNeighbour(ip) })
	if _, err := table.Neighbour(t.Context(), index, ip); err != nil {
		t.Error(err)
	}
}

// The kernel lets entries without traffic of its own go STALE. One in use is verified each time; the others are left alone.
func TestKeepAlive(t *testing.T) {
	eachProbe(t, func(t *testing.T, o Options) {
		lab := newLab(t, testenv.Topology{NoIPv6: true})
		for _, s := range []struct{ key, value string }{
			{"base_reachable_time_ms", "100"}, {"delay_first_probe_time", "0"}, {"gc_stale_time", "1000"},
		} {
			must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/"+s.key, s.value))
		}
		other := netip.MustParsePrefix("10.77.0.3/24")
		must(t, lab.B.If.AddAddr(other))
		updates, done := make(chan netlink.NeighUpdate, 1024), make(chan struct{})
		ns := lab.A.NS.Handle()
		must(t, netlink.NeighSubscribeWithOptions(updates, done, netlink.NeighSubscribeOptions{Namespace: &ns}))
		defer func() {
			close(done)
			for range updates { // until the subscription has ended
			}
		}()
		table := open(t, lab, o)
		index, ip := lab.A.If.Index(), lab.B.IPv4()
		_, err := table.Neighbour(t.Context(), index, ip)
		must(t, err)
		_, err = table.Neighbour(t.Context(), index, other.Addr())
		must(t, err)
		forget(table, neighbourKey{index, other.Addr()})
		gen := table.Generation()
		timeout := time.After(testenv.Patience(patience))
		states := map[string][]int{}
		// Three times stale and verified.
		for stale, fresh := 0, 0; fresh < 3; {
			select {
			case u := <-updates:
				states[u.IP.String()] = append(states[u.IP.String()], u.State)
				if !u.IP.Equal(ip.AsSlice()) {
					continue
				}
				table.KeepAlive(index, ip)
				switch {
				case u.State == unix.NUD_STALE:
					stale++
				case u.State == unix.NUD_REACHABLE && stale > fresh:
					fresh++
				}
			case <-timeout:
				t.Fatalf("states seen: %v", states)
			}
		}
		last := states[other.Addr().String()]
		if len(last) > 0 && last[len(last)-1] != unix.NUD_STALE {
			t.Errorf("the neighbour that nobody uses went through %v", last)
		}
		if now := table.Generation(); now != gen {
			t.Errorf("generation %d after changes of state, was %d", now, gen)
		}
	})
}

// forget makes a neighbour unused, as KeepAliveFor would.
func forget(table *Table, k neighbourKey) {
	table.uses.mu.Lock()
	defer table.uses.mu.Unlock()
	delete(table.uses.by, k)
}

// Uses end when nobody notes them any more.
func TestKeepAliveEnds(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	k := neighbourKey{lab.A.If.Index(), lab.B.IPv4()}
	noted := func(long time.Duration) *Table {
		table := open(t, lab, Options{KeepAliveFor: long, keepAliveEvery: 5 * time.Millisecond})
		_, err := table.Neighbour(t.Context(), k.index, k.ip)
		must(t, err)
		table.KeepAlive(k.index, k.ip)
		return table
	}
	if lasting := noted(time.Hour); lasting.uses.of(k) == nil {
		t.Fatal("a use that was just noted is gone")
	}
	table := noted(50 * time.Millisecond)
	testenv.Eventually(t, patience, "the use to end", func() bool { return table.uses.of(k) == nil })
}

func TestKeepAliveDoesNotAllocate(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	index, ip := lab.A.If.Index(), lab.B.IPv4()
	_, err := table.Neighbour(t.Context(), index, ip)
	must(t, err)
	for name, f := range map[string]func(){
		"KeepAlive":    func() { table.KeepAlive(index, ip) },
		"NeighbourNow": func() { table.NeighbourNow(index, ip) },
		"Generation":   func() { table.Generation() },
		"IsLocal":      func() { table.IsLocal(ip) },
		"Device":       func() { table.Device(index) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
