// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink/nl"

	"github.com/wsk-xdp/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/mirror"
	"github.com/wsk-xdp/wsk-xdp/wsk/route/ipsec"
)

// Table is the routes, neighbours, addresses and devices of one network namespace. All methods are safe for concurrent
// use; after Close, those that ask the kernel return ErrClosed and the others answer from the last snapshot.
type Table struct {
	opts  Options
	log   *slog.Logger
	start time.Time

	snap atomic.Pointer[snapshot]
	// gen grows with every change: an answer of the kernel stands for one. mirrorGen grows when the mirror may answer
	// something else, or what its answers rest on besides (see ground) may be another: they are looked at again then.
	// causes grows when none of them stands any more.
	gen, causes, mirrorGen atomic.Uint64

	events    *nl.NetlinkSocket
	dumper    *requester // of the table's goroutine, so that a dump delays nobody
	asker     *requester // of the callers
	prober    *prober
	oracle    *oracle
	sysctls   *sysctls
	ipsec     *ipsec.Watcher
	redirects *redirects
	mirror    *mirror.Mirror // nil: none
	asked     [mirror.Reasons]atomic.Uint64
	rerouted  chan struct{} // the mirror may answer something else
	policed   chan struct{} // other IPsec policies apply
	settler   settler       // of changes that the kernel is not through with when it announces them
	labelKey  labelKey
	incoming  chan batch
	repair    repair // of the table's goroutine
	lives     lives  // of the table's goroutine

	cache    routeCache
	arrivals arrivalCache
	uses     uses
	waiting  resolutions
	subs     subscribers

	done    chan struct{}
	closing sync.Once
	running sync.WaitGroup
}

// Open reads the tables of a namespace and keeps them current until Close.
func Open(o Options) (*Table, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	t := &Table{
		opts: o, log: o.Logger, start: time.Now(), incoming: make(chan batch, 64), done: make(chan struct{}),
		labelKey: newLabelKey(), policed: make(chan struct{}, 1),
		rerouted: make(chan struct{}, 1), settler: newSettler(o.unsettled),
	}
	t.waiting.timeout, t.waiting.limit = o.NeighbourTimeout, o.MaxWaiting
	t.waiting.timer = time.NewTimer(o.NeighbourTimeout)
	if err := netns.Do(o.NetNS, t.openSockets); err != nil {
		t.closeSockets()
		return nil, fmt.Errorf("open route table: %w", err)
	}
	fresh, complete, err := t.read()
	if err != nil {
		t.closeSockets()
		return nil, fmt.Errorf("open route table: %w", err)
	}
	t.lives.dir = t.sysctls.devices
	t.lives.follow(fresh.devices)
	t.snap.Store(fresh.snapshot(nil, newChanges()))
	t.gen.Store(1)
	if !complete {
		t.repair.schedule()
	}
	t.running.Add(2 + len(t.redirects.files))
	for _, f := range t.redirects.files {
		go t.hearRedirects(f)
	}
	go t.receive()
	t.running.Go(func() { t.settler.run(t.done) })
	go t.run(fresh)
	return t, nil
}

// openSockets subscribes before anything is read, so that no change falls between.
func (t *Table) openSockets() (err error) {
	if t.events, err = subscribe(t.opts.ReceiveBuffer); err != nil {
		return err
	}
	if t.dumper, err = newRequester(); err != nil {
		return err
	}
	if t.asker, err = newRequester(); err != nil {
		return err
	}
	if t.settler.asks, err = newRequester(); err != nil {
		return err
	}
	if t.prober, err = newProber(t.opts.datagramProbe); err != nil {
		return err
	}
	t.sysctls, t.redirects = openSysctls(), openRedirects()
	if t.ipsec, err = ipsec.Watch(t.log, t.opts.AssumeNoIPsec, t.policiesChanged); err != nil {
		return err
	}
	if t.oracle, err = newOracle(); err != nil {
		return err
	}
	t.mirror = t.openMirror()
	return nil
}

// openMirror opens the mirror, nil where none is wanted or to be had.
func (t *Table) openMirror() *mirror.Mirror {
	if !t.opts.Mirror {
		return nil
	}
	m, err := t.opts.openMirror(mirror.Options{
		Logger: t.log, Changed: t.mirrorChanged, Learned: func() { t.mirrorGen.Add(1) }, ReceiveBuffer: t.opts.ReceiveBuffer,
		LearnedEvery: t.opts.CacheTTL,
	})
	if err != nil {
		t.log.Warn("no mirror of the kernel's routing; every route is asked of the kernel", "err", err)
		return nil
	}
	return m
}

func (t *Table) closeSockets() {
	if t.events != nil {
		t.events.Close()
	}
	for _, r := range []*requester{t.dumper, t.asker, t.settler.asks} {
		if r != nil {
			r.close()
		}
	}
	if t.prober != nil {
		t.prober.close()
	}
	if t.ipsec != nil {
		t.ipsec.Close()
	}
	if t.redirects != nil {
		t.redirects.close()
	}
	if t.oracle != nil {
		t.oracle.close()
	}
	if t.sysctls != nil {
		t.sysctls.close()
	}
	if t.mirror != nil {
		t.mirror.Close()
	}
}

// Close ends the table: waiters get ErrClosed, the table's goroutines end, the sockets are closed. It returns when all
// that has happened; it must not be called from a callback of Subscribe. Later calls do nothing.
func (t *Table) Close() error {
	t.closing.Do(func() {
		close(t.done)
		t.events.Close() // wakes the reader
		t.redirects.close()
		t.running.Wait()
		t.waiting.close(ErrClosed)
		t.lives.close()
		t.closeSockets()
	})
	return nil
}

// Subscribe calls fn for every event from now on, in order, from the table's goroutine and with no lock held. fn must
// return soon: while it runs nothing is applied. It may call every method of the table except Close, and
// those that wait for the table's goroutine (Neighbour). cancel ends it; a call that is under way when
// cancel is called may still be running when cancel returns. cancel may be called from fn, and more than once.
func (t *Table) Subscribe(fn func(Event)) (cancel func()) {
	return t.subs.add(fn)
}

func (t *Table) closed() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// run is the table's goroutine, the only one that touches the model.
func (t *Table) run(m *model) {
	defer t.running.Done()
	tick := time.NewTicker(t.opts.keepAliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.done:
			return
		case b := <-t.incoming:
			c := newChanges()
			t.take(m, b, c)
			// What else is there goes into the same snapshot.
			for n := len(t.incoming); n > 0; n-- {
				t.take(m, <-t.incoming, c)
			}
			t.publish(m, c)
		case <-t.rerouted:
			t.subs.deliver([]Event{{Kind: PathsChanged}})
		case <-t.policed:
			t.bump()
			t.subs.deliver([]Event{{Kind: PoliciesChanged}})
		case <-t.settler.over:
			t.lookAgain()
		case <-t.waiting.timer.C:
			t.endWaits()
		case <-t.repair.due:
			c := newChanges()
			t.resync(m, c)
			t.publish(m, c)
		case <-tick.C:
			t.keepAlive(m)
			if t.sysctls.refresh() {
				t.bump()
			}
		}
	}
}

// take applies a batch to the model.
func (t *Table) take(m *model, b batch, c *changes) {
	if b.lost {
		t.resync(m, c)
		return
	}
	for _, msg := range b.messages {
		m.apply(msg.Header.Type, msg.Data, c)
	}
	t.rereadMTU6(m, c)
	t.rereadRules(m, c)
}

// publish makes the changes visible, in this order: the snapshot, the generation, the waiters, the subscribers.
func (t *Table) publish(m *model, c *changes) {
	if c.devices || c.addresses || c.neighbours || c.rules || c.filters {
		t.snap.Store(m.snapshot(t.snap.Load(), c))
	}
	if c.devices {
		t.lives.follow(m.devices)
	}
	// A use is noted before the snapshot is read (see uses.note): either it is seen here, or its reader saw the new
	// snapshot.
	var probes []neighbourKey
	for k, tr := range c.touched {
		u := t.uses.of(k)
		if u == nil {
			continue
		}
		if tr.bump {
			u.changes.Add(1)
			c.bump = true
		}
		if tr.gone {
			probes = append(probes, k)
		}
		c.events = append(c.events,
			Event{Kind: NeighbourChanged, Interface: k.index, Neighbour: k.ip, MAC: macIf(tr), Usable: tr.usable})
	}
	switch {
	case c.every, c.bump:
		if c.every {
			t.causes.Add(1)
		}
		t.someChanged()
		c.events = append(c.events, Event{Kind: PathsChanged})
	case c.routes:
		t.gen.Add(1)
		c.events = append(c.events, Event{Kind: PathsChanged})
	case c.revalidate:
		t.revalidate(netip.Addr{}, t.dumper)
	}
	if c.revalidate || c.bump || c.every {
		t.settler.want()
	}
	t.wakeWaiters(m, c)
	for index := range c.addressed {
		c.events = append(c.events, Event{Kind: AddressesChanged, Interface: index})
	}
	for k := range c.stale {
		if t.uses.of(k) != nil {
			probes = append(probes, k)
		}
	}
	for _, k := range probes {
		t.probe(m, k)
	}
	t.subs.deliver(c.events)
}
