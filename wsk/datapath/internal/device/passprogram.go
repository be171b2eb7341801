// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Supply is what a device that only sends has on its interface for zero-copy's sake, and which queues had zero-copy.
type Supply struct {
	on atomic.Bool // a program is attached; to be read while the driver works

	mu       lockrank.Mutex[locks.SupplyMu] // held while the driver works
	closed   bool
	Program  *bpf.Program
	attached *bpf.Attachment

	rungs   map[int]*rung
	refusal error // of a driver that does not announce zero-copy either

	// After a program that did not help the next is attached no earlier than this: each costs the link two resets.
	notBefore time.Time
	vain      error
}

// rung is what became of zero-copy on one queue.
type rung struct {
	granted bool
	lost    time.Time // when a rebuild was first refused what had been granted
}

// InsistTime is how long the rebuild of a zero-copy queue is repeated before copy mode will do: a driver in the middle of a
// reset refuses what it grants a moment later.
const InsistTime = 5 * time.Second

// deviceFacts are asked for when the first queue is opened.
type deviceFacts struct {
	once  sync.Once
	known nic.Interface
}

func (s *Supply) rungOf(id int) *rung {
	if s.rungs == nil {
		s.rungs = make(map[int]*rung)
	}
	if s.rungs[id] == nil {
		s.rungs[id] = &rung{}
	}
	return s.rungs[id]
}

// Despair notes that a driver has no zero-copy, by its own word and by the bind that it refused: the other queues need not be
// tried, which would cost each of them some milliseconds.
func (s *Supply) Despair(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = err
}

// Hopeless is the reason not to try zero-copy.
func (s *Supply) Hopeless() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusal
}

func (s *Supply) Granted(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.rungOf(id) = rung{granted: true}
}

// Insists reports whether a queue that was refused zero-copy should be tried again rather than be opened in copy mode.
func (s *Supply) Insists(id int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rungOf(id)
	switch {
	case !r.granted:
		return false
	case r.lost.IsZero():
		r.lost = now
		return true
	case now.Sub(r.lost) < InsistTime:
		return true
	}
	*r = rung{}
	return false
}

// vainPause is how long a device is left alone after a program on it has not led to zero-copy. Whoever sends through it
// asks every openRetry, and would take its link down as often.
const vainPause = 10 * time.Minute

// InVain notes that a program was attached and a queue refused all the same, and reports whether to take it off again. It
// stays where the queue had zero-copy before: a driver that resets grants it a moment later.
func (s *Supply) InVain(id int, why error, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rungOf(id).granted {
		return false
	}
	s.notBefore, s.vain = now.Add(vainPause), why
	return true
}

var ErrDeviceClosing = errors.New("the datapath or its device is being closed")

// AttachProgram puts a program that passes everything on the interface. fresh is false when it is there already. The
// caller is in the datapath's namespace.
func (d *Device) AttachProgram() (fresh bool, err error) {
	s := &d.Supply
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, ErrDeviceClosing
	}
	if s.attached != nil {
		if on, err := s.attached.Attached(); on || err != nil {
			return false, nil
		}
		// Somebody has taken it off the interface by force; without it the queue is dead.
		s.closeLocked()
	}
	if wait := time.Until(s.notBefore); wait > 0 {
		return false, fmt.Errorf("one was attached a while ago, for nothing; the next try is in %v: %w", wait.Round(time.Second), s.vain)
	}
	p, err := bpf.Load(bpf.Options{})
	if err != nil {
		return false, err
	}
	a, err := p.Attach(d.Index, bpf.Native)
	if err != nil {
		return false, errors.Join(err, p.Close())
	}
	s.Program, s.attached = p, a
	s.on.Store(true)
	return true, nil
}

// detachProgram takes the program off again, for who found that it does not help.
func (d *Device) detachProgram() {
	d.Supply.mu.Lock()
	defer d.Supply.mu.Unlock()
	if err := d.Supply.closeLocked(); err != nil {
		d.Set.Log.Warn("detach the XDP program for zero-copy", "interface", d.name, "err", err)
	}
}

func (s *Supply) closeLocked() error {
	if s.Program == nil {
		return nil
	}
	err := s.Program.Close()
	s.Program, s.attached = nil, nil
	s.on.Store(false)
	return err
}

// CloseSupply restores the interface. The sockets are closed by then.
func (d *Device) CloseSupply() {
	d.Supply.mu.Lock()
	d.Supply.closed = true
	d.Supply.mu.Unlock()
	d.detachProgram()
}

// Supplied reports whether a program is attached for zero-copy's sake.
func (d *Device) Supplied() bool { return d.Supply.on.Load() }

// GuardSupply looks whether the program is still on the interface. Without it some drivers serve the queues no more, and
// others take the host's traffic down in silence; the rebuild attaches another.
func (d *Device) GuardSupply() {
	if !d.Supplied() || !d.Supply.mu.TryLock() {
		return // or somebody is at it
	}
	a := d.Supply.attached
	d.Supply.mu.Unlock()
	if a == nil {
		return
	}
	if on, err := a.Attached(); on || err != nil {
		return
	}
	for _, q := range d.Opened() {
		q.ProgramTaken()
	}
}
