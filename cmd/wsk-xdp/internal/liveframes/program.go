// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
)

// program is what one lane has in the kernel.
type program struct {
	objects wskliveObjects
	links   []link.Link
}

// load puts program and maps of a part into the kernel, and has it hear what the driver takes.
func load(o *part, d Device) (_ *program, err error) {
	p := &program{}
	defer func() {
		if err != nil {
			err = errors.Join(describe(err), p.close())
		}
	}()
	spec, err := loadWsklive()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[wskliveVarWsklivePlan].Set(o.plan); err != nil {
		return nil, err
	}
	spec.Maps[wskliveMapWskliveSizes].MaxEntries = uint32(len(o.sizes))
	if err := memlock.Lift(func() error { return spec.LoadAndAssign(&p.objects, nil) }); err != nil {
		return nil, fmt.Errorf("load the XDP program: %w", err)
	}
	for i, size := range o.sizes {
		if err := p.objects.WskliveSizes.Put(uint32(i), size); err != nil {
			return nil, fmt.Errorf("enter the sizes: %w", err)
		}
	}
	if o.plan.Random != 0 {
		for i, step := range o.steps() {
			if err := p.objects.WskliveSteps.Put(uint32(i), step); err != nil {
				return nil, fmt.Errorf("enter the flows: %w", err)
			}
		}
	}
	if err := p.objects.WskliveOut.Put(uint32(0), uint32(d.Index)); err != nil {
		return nil, fmt.Errorf("enter %s into the map of devices: %w", d.Name, err)
	}
	for name, hears := range map[string]*ebpf.Program{"xdp_devmap_xmit": p.objects.WskliveTaken, "xdp_redirect_err": p.objects.WskliveError} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: hears})
		if err != nil {
			return nil, fmt.Errorf("listen to tracepoint %s: %w", name, err)
		}
		p.links = append(p.links, l)
	}
	return p, p.try(o.frame)
}

// state reads how far the program is. It may be running.
func (p *program) state() (s wskliveLiveState, err error) {
	if err := p.objects.WskliveState.Lookup(uint32(0), &s); err != nil {
		return s, fmt.Errorf("read the program's counters: %w", err)
	}
	return s, nil
}

// set writes what the program goes on with. It must not be running.
func (p *program) set(s *wskliveLiveState) error {
	if err := p.objects.WskliveState.Put(uint32(0), s); err != nil {
		return fmt.Errorf("write the program's state: %w", err)
	}
	return nil
}

// sent adds the numbers given out, stream by stream.
func (p *program) sent(to []uint64) error {
	for i := range to {
		var n uint64
		if err := p.objects.WskliveSent.Lookup(uint32(i), &n); err != nil {
			return fmt.Errorf("read the program's numbers: %w", err)
		}
		to[i] += n
	}
	return nil
}

// run has the kernel make so many frames, batch at a time, and returns early when the thread gets a signal.
func (p *program) run(frame []byte, repeat, batch uint32) error {
	switch err := run(p.objects.Wsklive.FD(), frame, repeat, batch); {
	case err == nil || errors.Is(err, unix.EINTR):
		return nil
	default:
		return describe(fmt.Errorf("send live frames: %w", err))
	}
}

func (p *program) close() (err error) {
	for _, l := range p.links {
		err = errors.Join(err, l.Close())
	}
	if p.objects.Wsklive != nil {
		err = errors.Join(err, p.objects.Close())
	}
	return err
}

// try makes a call that sends nothing: what is in the way of others is in its way, too.
func (p *program) try(frame []byte) error {
	err := p.run(frame, 1, 1)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, unix.EINVAL):
		return err
	case p.run(make([]byte, shortFrame), 1, 1) == nil:
		return fmt.Errorf("%w: %d bytes and FCS, of which the kernel makes none: it takes %d at most", ErrTooLong, len(frame), longest(p))
	}
	return fmt.Errorf("%w: this kernel makes none, that takes Linux 5.18", ErrImpossible)
}

const shortFrame = 60

// longest is how long a frame may be, without FCS.
func longest(p *program) int {
	low, high := shortFrame, 1<<16
	for low+1 < high {
		if middle := (low + high) / 2; p.run(make([]byte, middle), 1, 1) == nil {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// describe says what is missing, in place of what a library says of it.
func describe(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("it runs programs in the kernel, which takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN outside of user namespaces (sudo): %w",
			fs.ErrPermission)
	}
	return err
}
