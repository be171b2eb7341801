// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"errors"
	"time"

	"github.com/wsk-xdp/wsk-xdp/bpf"
)

// The program of an intake can be taken off its interface by force (bpftool link detach). Everything then goes through the kernel's
// stack, and a zero-copy queue is worse off: some drivers serve it no more, others drop what the host receives on it. So
// somebody looks, and puts it back.

// attachRetry is the pause after an attempt that failed: somebody else's program may be there now, which stays.
const attachRetry = 10 * time.Second

// reattachable is what reattach needs of bpf.Program.
type reattachable interface {
	Attach(ifindex int, mode bpf.Mode) (*bpf.Attachment, error)
}

// attachment is where the program is attached now.
func (in *intake) attachment() *bpf.Attachment {
	in.lifeMu.Lock()
	defer in.lifeMu.Unlock()
	return in.attached
}

// guardIntakes looks whether the programs are still on their interfaces. Only the janitor calls it.
func (dp *Datapath) guardIntakes(now time.Time) {
	for _, in := range dp.intakeList() {
		d := dp.knownDevice(in.ifindex)
		a := in.attachment()
		if d == nil || d.intake != in || a == nil || now.Before(in.retryAt) || in.guarding.Load() {
			continue
		}
		if on, err := a.Attached(); on || err != nil || !d.linkNow().exists {
			continue
		}
		in.retryAt = now.Add(attachRetry)
		in.guarding.Store(true)
		// Drivers may take seconds.
		dp.goRun(func() {
			in.reattach(d, a)
			in.guarding.Store(false)
		})
	}
}

// reattach puts the program back in the place of old, and replaces the zero-copy queues that the driver gave up with it.
func (in *intake) reattach(d *device, old *bpf.Attachment) {
	prog, ok := in.prog.(reattachable)
	if !ok {
		return
	}
	before := d.linkNow()
	var a *bpf.Attachment
	err := in.dp.ns.Do(func() (err error) {
		_ = old.Close()
		a, err = prog.Attach(in.ifindex, in.dp.opts.ReceiveMode)
		return err
	})
	if errors.Is(err, bpf.ErrClosed) {
		return
	}
	if err != nil {
		in.dp.log.Error("somebody has taken the XDP program off the interface, and it can't be put back; datagrams go through the kernel's stack",
			"interface", in.name, "err", err, "next try in", attachRetry)
		return
	}
	in.lifeMu.Lock()
	in.attached = a
	in.lifeMu.Unlock()
	in.dp.log.Warn("somebody has taken the XDP program off the interface; it is back", "interface", in.name, "mode", a.Mode().String())
	if a.Mode() == bpf.Native {
		d.awaitCarrier(in.dp.ctx, before, "attaching the XDP program")
	}
	for _, q := range d.opened() {
		q.programTaken()
	}
}
