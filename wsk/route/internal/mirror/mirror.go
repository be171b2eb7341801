// SPDX-License-Identifier: Apache-2.0

//go:build linux

package mirror

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
)

// Options say how to open a Mirror.
type Options struct {
	Logger *slog.Logger // nil: nothing is logged
	// Changed is called after each new snapshot, from the mirror's goroutine. It must return soon. silent says that the
	// kernel has taken out routes without a word. nil: nobody is told.
	Changed func(silent bool)
	// Learned is called when something else than before is known about single destinations. It must return soon.
	Learned func()
	// ReceiveBuffer is the size of the kernel's event queue in bytes.
	ReceiveBuffer int
	// LearnedEvery is how old what the kernel has learned about single destinations can be, which it doesn't announce.
	LearnedEvery time.Duration

	// applied is told each event. For tests.
	applied func(typ uint16, body []byte)
	// reading is called after each part of a dump of this table. For tests.
	reading func(table uint16)
}

// Mirror follows the routing of a namespace. All methods are safe for concurrent use.
type Mirror struct {
	opts   Options
	log    *slog.Logger
	snap   atomic.Pointer[Snapshot]
	inbox  *inbox
	events *events
	dumps  *dumper
	// learner is for the dumps of what was learned, so that they hold up no events.
	learner *dumper
	silent  *silence

	// publishing orders snapshots; what follows is under it.
	publishing sync.Mutex
	serial     uint64                   // of the newest snapshot
	learned    map[netip.Addr]time.Time // when it was told; the zero time: a dump has it
	exceptions *bart.Lite               // the same for snapshots; nil: there are none
	all        bool                     // they are too many: all destinations are asked about

	done    chan struct{}
	closing sync.Once
	running sync.WaitGroup
}

// Open begins to follow the namespace of the calling thread. It returns at once: until the tables have been read, the
// answer is NotReady.
func Open(o Options) (*Mirror, error) {
	m := newMirror(o)
	var err error
	// First the subscription, so that nothing falls between it and the dumps.
	if m.events, err = subscribe(o.ReceiveBuffer); err != nil {
		return nil, err
	}
	if m.dumps, err = newDumper(m.done); err != nil {
		m.events.close()
		return nil, err
	}
	if m.learner, err = newDumper(m.done); err != nil {
		m.events.close()
		m.dumps.close()
		return nil, err
	}
	m.silent = openSilence()
	m.running.Add(2)
	go func() {
		defer m.running.Done()
		m.inbox.fill(m.events)
	}()
	go m.follow()
	return m, nil
}

// newMirror is one that follows nothing yet.
func newMirror(o Options) *Mirror {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Mirror{
		opts: o, log: o.Logger, inbox: newInbox(), learned: map[netip.Addr]time.Time{}, done: make(chan struct{}),
	}
	m.snap.Store(&Snapshot{ask: NotReady})
	return m
}

// Close ends the mirror; the last snapshot stays. It returns when its goroutines have ended.
func (m *Mirror) Close() {
	m.closing.Do(func() {
		close(m.done)
		m.events.close()
		m.running.Wait()
		m.dumps.close()
		m.learner.close()
		m.silent.close()
	})
}

// Snapshot is the routing as it is known now. One atomic load.
func (m *Mirror) Snapshot() *Snapshot { return m.snap.Load() }

// publish makes a snapshot the present one.
func (m *Mirror) publish(s *Snapshot, silent bool) {
	m.publishing.Lock()
	m.stamp(s)
	m.snap.Store(s)
	m.publishing.Unlock()
	if m.opts.Changed != nil {
		m.opts.Changed(silent)
	}
}
