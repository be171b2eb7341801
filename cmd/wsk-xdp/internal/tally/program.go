// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
)

// Program is attached from Open to Detach. Its methods, and those of its runs, may be called concurrently.
type Program struct {
	*memory
	links []link.Link
	names []string // of the interfaces, in the order of links
	// Generic are the interfaces whose driver has no XDP, or not now.
	Generic []string

	detached bool // guarded by mu
}

// Totals are all packets that came to the port.
type Totals struct {
	Packets, Bytes uint64
	// Foreign are those that are of no run, but for Warmup, which were sent before one and said so.
	Foreign, Warmup uint64
	// BadChecksum are those with a wrong checksum; LateUnread those of runs that had ended, when there was no room left for them.
	// Neither are among Packets.
	BadChecksum, LateUnread uint64
}

// Open loads the program and attaches it. It is called in the network namespace of the interfaces.
func Open(o Options) (_ *Program, err error) {
	m, err := newMemory(&o)
	if err != nil {
		return nil, describe(err)
	}
	p := &Program{memory: m}
	for at, i := range o.Interfaces {
		l, generic, err := m.attach(&o, at, i)
		if err != nil {
			return nil, errors.Join(describe(err), p.Close())
		}
		p.links, p.names = append(p.links, l), append(p.names, i.Name)
		if generic {
			p.Generic = append(p.Generic, i.Name)
		}
	}
	return p, nil
}

// describe says what is missing, in place of what a library says of it.
func describe(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("it runs a program in the kernel, which takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN outside of user namespaces (sudo): %w",
			fs.ErrPermission)
	}
	return err
}

// Detach detaches the program. When it returns nothing is counted any more, and the counts stay.
func (p *Program) Detach() (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.detached {
		return nil
	}
	p.detached = true
	for _, l := range p.links {
		// Closing the descriptor is not enough where a child process has inherited it between fork and exec.
		if e := l.Detach(); e != nil && !errors.Is(e, link.ErrNotSupported) {
			err = errors.Join(err, e)
		}
		err = errors.Join(err, l.Close())
	}
	if len(p.links) > 0 {
		err = errors.Join(err, p.wait())
	}
	return err
}

// Close detaches the program and gives up what it counted.
func (p *Program) Close() error {
	err := p.Detach()
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.memory.close())
}

// Err is why nothing is counted any more, or why that can't be read; nil as long as neither is so.
func (p *Program) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.detached {
		return p.err
	}
	for i, l := range p.links {
		if info, err := l.Info(); err == nil && info.XDP() != nil && info.XDP().Ifindex == 0 {
			p.failed(fmt.Errorf("somebody has detached it from %s, or the interface is gone", p.names[i]))
		}
	}
	return p.err
}

// Totals are all packets that came to the port.
func (p *Program) Totals() (c Totals) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []wsktallyTallyTotals
	p.failed(p.maps[wsktallyMapWsktallyTotals].Lookup(uint32(0), &all))
	for _, one := range all {
		c.Packets += one.Packets
		c.Bytes += one.Bytes
		c.Foreign += one.Foreign
		c.Warmup += one.Warmup
		c.BadChecksum += one.BadChecksum
		c.LateUnread += one.LateUnread
	}
	return c
}

// Room is how many more runs and streams there is room for, and for how many streams in all.
func (p *Program) Room() (runs, streams, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readSlots()
	runs, streams = Slots, p.windows
	for i := range p.seen {
		if p.seen[i].Used != 0 {
			runs--
		}
		streams -= int(p.seen[i].Windows)
	}
	return runs, max(streams, 0), p.windows
}

// Late hands over the stamps of packets that came after their run had ended, as far as there was room for them, and how long their
// payloads are.
func (p *Program) Late(each func(stamp []byte, length int)) {
	for range lateRoom {
		var l wsktallyTallyLate
		p.mu.Lock()
		err := p.maps[wsktallyMapWsktallyLate].LookupAndDelete(nil, &l)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			p.failed(err)
		}
		p.mu.Unlock()
		if err != nil {
			return
		}
		b := binary.BigEndian.AppendUint64(make([]byte, 0, stamp.Size), l.First)
		b = binary.BigEndian.AppendUint64(b, l.Second)
		each(b[:stamp.Size], int(l.Length))
	}
}

// lateRoom is how many of those there is room for.
const lateRoom = 1024
