// SPDX-License-Identifier: Apache-2.0

package device

import (
	"errors"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/wsk/datapath/internal/send"
)

// The program that receivers are fed by can be taken off its interface by force (bpftool link detach). Everything then
// goes through the kernel's stack, and a zero-copy queue is worse off: some drivers serve it no more, others drop what
// the host receives on it. So the janitor looks, and it is put back.

// attachRetry is the pause after an attempt that failed: somebody else's program may be there now, which stays.
const attachRetry = 10 * time.Second

// reattachable is what reattach needs of bpf.Program.
type reattachable interface {
	Attach(ifindex int, mode bpf.Mode) (*bpf.Attachment, error)
}

// GuardPrograms looks whether the programs are still on their interfaces. Only the janitor calls it.
func (set *Set) GuardPrograms(now time.Time) {
	for _, p := range set.Programs() {
		d := set.Known(p.IfIndex)
		a := p.attachment()
		if d == nil || d.program != p || a == nil || now.Before(p.retryAt) || p.guarding.Load() {
			continue
		}
		if on, err := a.Attached(); on || err != nil || !d.LinkNow().Exists {
			continue
		}
		if !d.isThere() {
			continue // its queues have ended, and the janitor takes it down
		}
		p.retryAt = now.Add(attachRetry)
		p.guarding.Store(true)
		// Drivers may take seconds.
		set.GoRun(func() {
			p.reattach(d, a)
			p.guarding.Store(false)
		})
	}
}

// isThere reports whether the device that the queues were opened on is still there. A program goes with its device, too, and
// another may have its index by now of which netlink has not told: the old sockets are never fed from it.
func (d *Device) isThere() bool {
	there := true
	for _, q := range d.Opened() {
		there = send.CheckDevice(q) && there
	}
	return there
}

// reattach puts the program back in the place of old, and replaces the zero-copy queues that the driver gave up with
// it.
func (p *Program) reattach(d *Device, old *bpf.Attachment) {
	prog, ok := p.Prog.(reattachable)
	if !ok {
		return
	}
	before := d.LinkNow()
	var a *bpf.Attachment
	err := p.set.InNetNS(func() (err error) {
		_ = old.Close()
		a, err = prog.Attach(p.IfIndex, p.set.Opts.ReceiveMode)
		return err
	})
	if errors.Is(err, bpf.ErrClosed) {
		return
	}
	if err != nil {
		p.set.Log.Error("somebody has taken the XDP program off the interface, and it can't be put back; "+
			"datagrams go through the kernel's stack", "interface", p.Name, "err", err, "next try in", attachRetry)
		return
	}
	p.lifeMu.Lock()
	p.attached = a
	p.lifeMu.Unlock()
	p.set.Log.Warn("somebody has taken the XDP program off the interface; it is back",
		"interface", p.Name, "mode", a.Mode().String())
	if a.Mode() == bpf.Native {
		d.awaitCarrier(p.set.Ctx, before, "attaching the XDP program")
	}
	for _, q := range d.Opened() {
		q.ProgramTaken()
	}
}
