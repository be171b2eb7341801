// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// errorSignal is a slog.Handler that says that something was logged as an error.
type errorSignal struct {
	slog.Handler
	seen chan struct{} // capacity 1
}

func (h *errorSignal) Enabled(context.Context, slog.Level) bool { return true }

func (h *errorSignal) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		select {
		case h.seen <- struct{}{}:
		default:
		}
	}
	return nil
}

// Events are lost, and just then the tables can't be read. No event will ever say what was missed, so the table must try
// again by itself.
func TestOverrunWhileTablesCannotBeRead(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	failed := &errorSignal{slog.DiscardHandler, make(chan struct{}, 1)}
	table := open(t, lab, Options{ReceiveBuffer: 1, Logger: slog.New(failed)})
	blocked, release := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(release) })
	defer goOn()
	var once sync.Once
	defer table.Subscribe(func(Event) {
		once.Do(func() { close(blocked); <-release })
	})()
	storm := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 88, byte(i >> 8), byte(i)}) }
	const count = 400
	must(t, lab.A.If.AddAddr(netip.PrefixFrom(storm(0), 32)))
	<-blocked
	for i := 1; i < count; i++ {
		must(t, lab.A.If.AddAddr(netip.PrefixFrom(storm(i), 32)))
	}
	must(t, lab.A.If.DeleteAddr(netip.PrefixFrom(storm(1), 32)))
	// The kernel's answers come too late.
	never, usual := unix.NsecToTimeval(-int64(time.Second)), unix.NsecToTimeval(int64(requestTimeout))
	must(t, table.dumper.handle.Socket.SetReceiveTimeout(&never))
	goOn()
	select {
	case <-failed.seen:
	case <-time.After(testenv.Patience(patience)):
		t.Fatal("the reading did not fail")
	}
	must(t, table.dumper.handle.Socket.SetReceiveTimeout(&usual))
	testenv.Eventually(t, patience, "the tables to be right", func() bool {
		return !table.IsLocal(storm(1)) && table.IsLocal(storm(count-1))
	})
}

// A dump that was interrupted every time may lack what nobody changes: it is taken again later.
func TestInterruptedDumpIsRepaired(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	var interrupted atomic.Int32
	table := open(t, lab, Options{interrupt: func() bool { return interrupted.Add(1) <= 2*4 }}) // two readings of four tables
	if _, ok := table.Device(lab.A.If.Index()); ok || interrupted.Load() != 4 {
		t.Fatal("the test does not test")
	}
	testenv.Eventually(t, patience, "the tables", func() bool {
		_, ok := table.Device(lab.A.If.Index())
		return ok && table.IsLocal(lab.A.IPv4())
	})
	if n := interrupted.Load(); n != 12 {
		t.Errorf("%d tables were read", n)
	}
}

// The MTU of IPv6 follows that of the device unannounced. So it is asked for also where a dump is what tells of the new one:
// the dump may have come between.
func TestResyncRereadsMTU6(t *testing.T) {
	lab := newLab(t, testenv.Topology{})
	table := &Table{opts: Options{}.withDefaults(), log: slog.New(slog.DiscardHandler)} // nobody runs it
	must(t, netns.Do(lab.A.NS.FD(), table.openSockets))
	defer table.closeSockets()
	m, complete, err := table.read()
	if err != nil || !complete {
		t.Fatal(complete, err)
	}
	index := lab.A.If.Index()
	before := *m.devices[index]
	before.MTU++
	m.devices[index] = &before
	c := newChanges()
	table.repair.schedule()
	if table.resync(m, c); table.repair.due != nil {
		t.Error("a reading that succeeded owes another one")
	}
	if len(c.rereadMTU6) != 0 {
		t.Error("the IPv6 MTU of a device whose MTU has changed was not asked for")
	}
	// An answer that does not come is asked for again, with everything else.
	never := unix.NsecToTimeval(-int64(time.Second))
	must(t, table.dumper.handle.Socket.SetReceiveTimeout(&never))
	c.rereadMTU6[index] = struct{}{}
	if table.rereadMTU6(m, c); table.repair.due == nil {
		t.Error("an IPv6 MTU that was not learned is forgotten")
	}
	table.repair.settled()
	usual := unix.NsecToTimeval(int64(requestTimeout))
	must(t, table.dumper.handle.Socket.SetReceiveTimeout(&usual))
	c.rereadMTU6[1<<30] = struct{}{}
	if table.rereadMTU6(m, c); table.repair.due != nil {
		t.Error("a device that is gone makes the table read everything anew")
	}
}
