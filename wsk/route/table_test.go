// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// patience bounds every wait for something that must happen.
const patience = time.Minute

func newLab(t *testing.T, top testenv.Topology) *testenv.Lab {
	t.Helper()
	testenv.Require(t, testenv.NetNS)
	return testenv.NewLabT(t, top)
}

// open opens a table in A's namespace.
func open(t *testing.T, lab *testenv.Lab, o Options) *Table {
	t.Helper()
	o.NetNS = lab.A.NS.FD()
	table, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func handle(t *testing.T, ns *testenv.Namespace) *netlink.Handle {
	t.Helper()
	h, err := ns.Netlink()
	must(t, err)
	return h
}

// addPair makes a device with nothing but its own other end behind it.
func addPair(h *netlink.Handle, name string) error {
	return h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-end"})
}

func setUp(h *netlink.Handle, names ...string) error {
	var errs []error
	for _, name := range names {
		l, err := h.LinkByName(name)
		if err == nil {
			err = h.LinkSetUp(l)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// grows runs do and waits until the generation has grown.
func grows(t *testing.T, table *Table, what string, do func() error) {
	t.Helper()
	before := table.Generation()
	must(t, do())
	testenv.Eventually(t, patience, what+" to bump the generation", func() bool { return table.Generation() > before })
}

// settle waits until the table has applied everything that happened before: an address that is added now comes last.
func settle(t *testing.T, lab *testenv.Lab, table *Table) {
	t.Helper()
	mark := netip.MustParsePrefix("192.0.2.199/32")
	must(t, lab.A.If.AddAddr(mark))
	testenv.Eventually(t, patience, "the mark", func() bool { return table.IsLocal(mark.Addr()) })
	must(t, lab.A.If.DeleteAddr(mark))
	testenv.Eventually(t, patience, "the mark to go", func() bool { return !table.IsLocal(mark.Addr()) })
	// The routes of the mark go with it, in the same batch or in the next. What is announced behind them is a neighbour that
	// nobody uses, which changes no path.
	last := netip.MustParseAddr("10.77.0.199")
	key := neighbourKey{lab.A.If.Index(), last}
	mac := table.snap.Load().macs[key]
	mac[0], mac[5] = 2, mac[5]+1
	must(t, lab.A.If.SetNeighbour(last, mac[:]))
	testenv.Eventually(t, patience, "the last mark", func() bool { return table.snap.Load().macs[key] == mac })
}

// watch collects the events of a table.
type watch struct {
	mu     sync.Mutex
	events []Event
	more   chan struct{}
}

func newWatch(t *testing.T, table *Table) *watch {
	w := &watch{more: make(chan struct{}, 1)}
	cancel := table.Subscribe(func(e Event) {
		w.mu.Lock()
		w.events = append(w.events, e)
		w.mu.Unlock()
		select {
		case w.more <- struct{}{}:
		default:
		}
	})
	t.Cleanup(cancel)
	return w
}

// wait returns the first event that matches and forgets it and those before.
func (w *watch) wait(t *testing.T, what string, match func(Event) bool) Event {
	t.Helper()
	all := w.until(t, what, match)
	return all[len(all)-1]
}

// until returns the events up to the first that matches, and forgets them.
func (w *watch) until(t *testing.T, what string, match func(Event) bool) []Event {
	t.Helper()
	deadline := time.After(testenv.Patience(patience))
	for {
		w.mu.Lock()
		i := slices.IndexFunc(w.events, match)
		if i >= 0 {
			all := w.events[:i+1]
			w.events = w.events[i+1:]
			w.mu.Unlock()
			return all
		}
		seen := slices.Clone(w.events)
		w.mu.Unlock()
		select {
		case <-w.more:
		case <-deadline:
			t.Fatalf("no event %s; saw %+v", what, seen)
		}
	}
}

func (w *watch) kind(t *testing.T, kind EventKind, index int) Event {
	t.Helper()
	return w.wait(t, kind.String(), func(e Event) bool { return e.Kind == kind && e.Interface == index })
}

func TestOpenDevicesAndAddresses(t *testing.T) {
	lab := newLab(t, testenv.Topology{MTU: 1400, A: testenv.End{TX: 2, RX: 3}})
	table := open(t, lab, Options{})
	d, ok := table.Device(lab.A.If.Index())
	if !ok || d.Name != lab.A.If.Name() || d.MAC != [6]byte(lab.A.If.MAC()) || d.MTU != 1400 || d.MTU6 != 1400 || d.Type != TypeVeth ||
		!d.Up || !d.Carrier || !d.Ethernet || d.TxQueues != 2 || d.RxQueues != 3 || d.Parent != 0 {
		t.Errorf("device %+v, %v", d, ok)
	}
	if lo, ok := table.DeviceByName("lo"); !ok || lo.Type != TypeLoopback {
		t.Errorf("lo: %+v, %v", lo, ok)
	}
	if _, ok := table.Device(lab.B.If.Index()); ok {
		t.Error("sees the other namespace")
	}
	for _, ip := range []netip.Addr{lab.A.IPv4(), lab.A.IPv6()} {
		if index, ok := table.AddressDevice(ip); !ok || index != lab.A.If.Index() || !table.IsLocal(ip) {
			t.Errorf("%v is on %d, %v", ip, index, ok)
		}
	}
	if table.IsLocal(lab.B.IPv4()) {
		t.Error("the peer's address is local")
	}
	if !table.IsBroadcast(addr("10.77.0.255")) || table.IsBroadcast(lab.B.IPv4()) {
		t.Error("broadcast addresses are wrong")
	}
}

// Without privilege over the namespace a table can be opened by those who are in it.
func TestOpenWhereTheThreadIs(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	must(t, lab.A.NS.Do(func() error {
		for _, fd := range []int{0, lab.A.NS.FD()} {
			table, err := Open(Options{NetNS: fd})
			if err != nil {
				return err
			}
			if _, ok := table.DeviceByName(lab.A.If.Name()); !ok {
				t.Errorf("fd %d: not the thread's namespace", fd)
			}
			if err := table.Close(); err != nil {
				return err
			}
		}
		return nil
	}))
	if _, err := Open(Options{NetNS: 1 << 20}); !errors.Is(err, unix.EBADF) {
		t.Errorf("a descriptor that isn't open: %v", err)
	}
}

func TestClose(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	must(t, lab.B.If.Silence())
	table := open(t, lab, Options{NeighbourTimeout: patience})
	waiting := make(chan error)
	go func() {
		_, err := table.Neighbour(context.Background(), lab.A.If.Index(), lab.B.IPv4())
		waiting <- err
	}()
	testenv.Eventually(t, patience, "the waiter", func() bool {
		return table.waiting.find(neighbourKey{lab.A.If.Index(), lab.B.IPv4()}) != nil
	})
	must(t, table.Close())
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("waiter: %v", err)
	}
	must(t, table.Close())
	if _, err := table.Resolve(context.Background(), Query{Dst: lab.B.IPv4()}); !errors.Is(err, ErrClosed) {
		t.Errorf("resolve: %v", err)
	}
	if _, err := table.Neighbour(context.Background(), lab.A.If.Index(), lab.B.IPv4()); !errors.Is(err, ErrClosed) {
		t.Errorf("neighbour: %v", err)
	}
	table.Flush(lab.B.IPv4())
	if _, ok := table.Device(lab.A.If.Index()); !ok {
		t.Error("the last snapshot is gone")
	}
}

// Events that are lost are made up for by reading everything anew. The subscriber stands still during the storm, so that
// first the table's queue and then the kernel's, which is as small as can be, run over.
func TestOverrun(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{ReceiveBuffer: 1})
	blocked, release := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(release) })
	defer goOn()
	var once sync.Once
	cancel := table.Subscribe(func(Event) {
		once.Do(func() { close(blocked); <-release })
	})
	defer cancel()
	w := newWatch(t, table)
	h := handle(t, lab.A.NS)
	storm := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 88, byte(i >> 8), byte(i)}) }
	const count = 400
	must(t, lab.A.If.AddAddr(netip.PrefixFrom(storm(0), 32)))
	<-blocked
	for i := 1; i < count; i++ {
		must(t, lab.A.If.AddAddr(netip.PrefixFrom(storm(i), 32)))
	}
	must(t, lab.A.If.DeleteAddr(netip.PrefixFrom(storm(1), 32)))
	must(t, addPair(h, "late"))
	gen := table.Generation()
	goOn()
	w.wait(t, "resynced", func(e Event) bool { return e.Kind == Resynced })
	testenv.Eventually(t, patience, "the tables to be right", func() bool {
		_, late := table.DeviceByName("late")
		return late && !table.IsLocal(storm(1)) && table.IsLocal(storm(count-1))
	})
	for i := 2; i < count; i++ {
		if !table.IsLocal(storm(i)) {
			t.Fatalf("%v is missing", storm(i))
		}
	}
	if table.Generation() <= gen {
		t.Error("the generation hasn't grown")
	}
	// And events go on.
	must(t, h.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "late"}}))
	w.wait(t, "deletion", func(e Event) bool { return e.Kind == LinkDeleted && e.Name == "late" })
}

// Readers, resolvers and changes at once; the race detector judges.
func TestConcurrentUse(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{CacheTTL: time.Millisecond})
	index := lab.A.If.Index()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, f := range []func() error{
		func() error { _, err := table.Resolve(context.Background(), Query{Dst: lab.B.IPv4()}); return err },
		func() error { _, err := table.Resolve(context.Background(), Query{Dst: lab.B.IPv6()}); return err },
		func() error { _, err := table.Neighbour(context.Background(), index, lab.B.IPv4()); return err },
		func() error { table.KeepAlive(index, lab.B.IPv4()); table.Flush(lab.B.IPv4()); return nil },
		func() error { table.IsLocal(lab.A.IPv4()); table.Devices(); table.Addresses(0); return nil },
		func() error { table.Subscribe(func(Event) { table.Generation() })(); return nil },
	} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f(); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for i := range 50 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 88, 0, byte(i)}), 32)
		must(t, lab.A.If.AddAddr(p))
		if i%2 == 0 {
			must(t, lab.A.If.DeleteAddr(p))
		}
	}
	testenv.Eventually(t, patience, "the last address", func() bool { return table.IsLocal(addr("10.88.0.49")) })
	close(stop)
	wg.Wait()
}

// Without any capability the table opens where the thread is, reads everything, and gets neighbours by datagram.
func TestWithoutPrivilege(t *testing.T) {
	lab := newLab(t, testenv.Topology{Shape: testenv.Routed})
	must(t, lab.A.NS.Do(func() error { // on a thread of its own
		regain, err := testenv.DropCapabilities()
		if err != nil {
			return err
		}
		defer func() {
			if err := regain(); err != nil {
				t.Error(err)
			}
		}()
		table, err := Open(Options{NetNS: lab.A.NS.FD()})
		if err != nil {
			return err
		}
		defer table.Close()
		for _, ip := range []netip.Addr{lab.B.IPv4(), lab.B.IPv6()} {
			hop, err := table.Resolve(context.Background(), Query{Dst: ip})
			if err != nil {
				return err
			}
			mac, err := table.Neighbour(context.Background(), hop.Interface, hop.Gateway)
			if err != nil || mac != [6]byte(lab.Router.A.MAC()) {
				t.Errorf("%v: %x, %v", hop.Gateway, mac, err)
			}
		}
		if !table.prober.datagrams.Load() {
			t.Error("NTF_USE was allowed: the test has its capabilities still")
		}
		return nil
	}))
}
