// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// told collects what AwaitNeighbour says.
type told struct {
	mu   sync.Mutex
	errs []error
	macs [][6]byte
}

func (o *told) done(mac [6]byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.errs, o.macs = append(o.errs, err), append(o.macs, mac)
}

func (o *told) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.errs)
}

func TestAwaitNeighbour(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := open(t, lab, Options{})
	index, mac := lab.A.If.Index(), [6]byte(lab.B.If.MAC())
	var unknown, known, never told
	table.AwaitNeighbour(index, lab.B.IPv4(), unknown.done)
	testenv.Eventually(t, patience, "the answer", func() bool { return unknown.count() == 1 })
	testenv.Eventually(t, patience, "the snapshot", func() bool { _, ok := table.NeighbourNow(index, lab.B.IPv4()); return ok })
	table.AwaitNeighbour(index, lab.B.IPv4(), known.done)
	if known.count() != 1 || known.errs[0] != nil || known.macs[0] != mac || unknown.errs[0] != nil || unknown.macs[0] != mac {
		t.Errorf("known %+v, unknown %+v", known.errs, unknown.errs)
	}
	must(t, lab.B.If.Silence())
	cancel := table.AwaitNeighbour(index, lab.B.IPv6(), never.done)
	cancel()
	cancel()
	table.waiting.mu.Lock()
	left, wanted := table.waiting.count, len(table.waiting.wanted)
	table.waiting.mu.Unlock()
	if left != 0 || wanted != 0 {
		t.Errorf("%d waiters for %d neighbours are left", left, wanted)
	}
	var late told
	table.AwaitNeighbour(index, lab.B.IPv6(), late.done)
	must(t, table.Close())
	table.AwaitNeighbour(index, lab.B.IPv6(), late.done)
	if late.count() != 2 || !errors.Is(late.errs[0], ErrClosed) || !errors.Is(late.errs[1], ErrClosed) {
		t.Errorf("after Close: %v", late.errs)
	}
	if never.count() != 0 {
		t.Error("a wait that was given up was answered")
	}
}

// Silent neighbours cost no goroutine each, a good one beside them does not wait, and there is a bound.
func TestManySilentNeighbours(t *testing.T) {
	lab := newLab(t, testenv.Topology{NoIPv6: true})
	const many = 200
	table := open(t, lab, Options{NeighbourTimeout: 2 * time.Second, MaxWaiting: many + 1})
	index := lab.A.If.Index()
	before := runtime.NumGoroutine()
	var silent told
	for i := range many {
		table.AwaitNeighbour(index, netip.AddrFrom4([4]byte{10, 77, 0, byte(50 + i)}), silent.done)
	}
	if n := runtime.NumGoroutine() - before; n > 5 {
		t.Errorf("%d goroutines for %d neighbours", n, many)
	}
	if _, err := table.Neighbour(t.Context(), index, lab.B.IPv4()); err != nil {
		t.Errorf("the good one: %v", err)
	}
	var beyond told
	table.AwaitNeighbour(index, addr("10.77.0.3"), beyond.done)
	table.AwaitNeighbour(index, addr("10.77.0.4"), beyond.done)
	if beyond.count() != 1 || !errors.Is(beyond.errs[0], ErrTooManyWaiting) {
		t.Errorf("beyond the bound: %v", beyond.errs)
	}
	testenv.Eventually(t, patience, "the end of all", func() bool { return silent.count() == many })
	for _, err := range silent.errs {
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("%v", err)
		}
	}
}

// An entry that is deleted while it is being resolved, as by a flap of the link, is asked for again.
func TestNeighbourDeletedWhileWanted(t *testing.T) {
	eachProbe(t, func(t *testing.T, o Options) {
		for name, disturb := range map[string]func(t *testing.T, lab *testenv.Lab){
			"entry": func(t *testing.T, lab *testenv.Lab) { must(t, lab.A.If.DeleteNeighbour(lab.B.IPv4())) },
			"link": func(t *testing.T, lab *testenv.Lab) {
				must(t, lab.A.If.SetDown())
				must(t, lab.A.If.SetUp())
			},
			"carrier": func(t *testing.T, lab *testenv.Lab) {
				must(t, lab.B.If.SetDown())
				must(t, lab.B.If.SetUp())
			},
		} {
			t.Run(name, func(t *testing.T) {
				lab := newLab(t, testenv.Topology{NoIPv6: true})
				must(t, lab.B.If.Silence())
				if name == "entry" { // the kernel's own repetition would come too late; what a link in change lost needs it
					must(t, lab.A.NS.Sysctl("ipv4/neigh/wsk0/retrans_time_ms", "60000"))
				}
				o.NeighbourTimeout = patience
				table := open(t, lab, o)
				k := neighbourKey{lab.A.If.Index(), lab.B.IPv4()}
				var got told
				table.AwaitNeighbour(k.index, k.ip, got.done)
				testenv.Eventually(t, patience, "the question", func() bool {
					n, ok, err := lab.A.If.Neighbour(k.ip)
					return err == nil && ok && n.State == unix.NUD_INCOMPLETE
				})
				must(t, lab.B.If.Speak())
				disturb(t, lab)
				testenv.Eventually(t, patience, "the answer", func() bool { return got.count() == 1 })
				if got.errs[0] != nil || got.macs[0] != [6]byte(lab.B.If.MAC()) {
					t.Errorf("%x, %v", got.macs[0], got.errs[0])
				}
			})
		}
	})
}

// A full table has an error of its own. It is one table for all namespaces of the machine, so this test wants to be alone.
func TestNeighbourTableFull(t *testing.T) {
	if os.Getenv("WSKXDP_ALL_KINDS") == "" {
		t.Skip("fills the machine's only neighbour table: make test-vm runs this in guests")
	}
	lab := newLab(t, testenv.Topology{NoIPv6: true})
	must(t, lab.A.If.AddAddr(netip.MustParsePrefix("10.99.0.1/16")))
	table := open(t, lab, Options{NeighbourTimeout: patience})
	var full atomic.Int32
	for i := range 3000 {
		table.AwaitNeighbour(lab.A.If.Index(), netip.AddrFrom4([4]byte{10, 99, byte(1 + i>>8), byte(i)}), func(_ [6]byte, err error) {
			if errors.Is(err, ErrNeighbourTableFull) && errors.Is(err, unix.ENOBUFS) {
				full.Add(1)
			}
		})
	}
	if full.Load() == 0 {
		t.Error("3000 silent neighbours, and nobody says that the table is full")
	}
}
