// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/internal/lockrank"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/locks"
)

// passProgram is the XDP program that passes everything, which a device that only sends gets for zero-copy's sake.
type passProgram struct {
	on atomic.Bool // it is attached; to be read while the driver works

	mu       lockrank.Mutex[locks.PassProgramMu] // held while the driver works
	closed   bool
	program  *bpf.Program
	attached *bpf.Attachment

	// After one that did not help the next is attached no earlier than this: each costs the link two resets.
	notBefore time.Time
	why       error
}

// uselessPause is how long a device is left alone after a program on it has not led to zero-copy. Whoever sends
// through it asks every openRetry, and would take its link down as often.
const uselessPause = 10 * time.Minute

var errClosing = errors.New("the datapath or its device is being closed")

// attach puts the program on an interface. fresh is false when it is there already. The caller is in the datapath's
// namespace.
func (p *passProgram) attach(ifindex int) (fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false, errClosing
	}
	if p.attached != nil {
		if on, err := p.attached.Attached(); on || err != nil {
			return false, nil
		}
		// Somebody has taken it off the interface by force; without it the queue is dead.
		p.detachLocked()
	}
	if wait := time.Until(p.notBefore); wait > 0 {
		return false, fmt.Errorf("one was attached a while ago, for nothing; the next try is in %v: %w",
			wait.Round(time.Second), p.why)
	}
	program, err := bpf.Load(bpf.Options{})
	if err != nil {
		return false, err
	}
	a, err := program.Attach(ifindex, bpf.Native)
	if err != nil {
		return false, errors.Join(err, program.Close())
	}
	p.program, p.attached = program, a
	p.on.Store(true)
	return true, nil
}

// detachUseless takes off a program that has not led to zero-copy, and lets none be attached for a while.
func (p *passProgram) detachUseless(why error, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notBefore, p.why = now.Add(uselessPause), why
	return p.detachLocked()
}

func (p *passProgram) detachLocked() error {
	if p.program == nil {
		return nil
	}
	err := p.program.Close()
	p.program, p.attached = nil, nil
	p.on.Store(false)
	return err
}

// close restores the interface for good. The sockets are closed by then.
func (p *passProgram) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.detachLocked()
}

// takenOff reports whether somebody has taken the program off the interface by force. It answers false while the
// driver works.
func (p *passProgram) takenOff() bool {
	if !p.on.Load() || !p.mu.TryLock() {
		return false
	}
	a := p.attached
	p.mu.Unlock()
	if a == nil {
		return false
	}
	on, err := a.Attached()
	return !on && err == nil
}
