// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
)

// DropCounterOptions says what is counted. The zero value counts and drops all UDP in native mode.
type DropCounterOptions struct {
	// Port counts only whole, untagged datagrams to this UDP port, 0 everything that is UDP, fragments and VLAN
	// frames included.
	Port uint16
	// Pass counts without dropping.
	Pass bool
	// Generic attaches in generic mode, for devices whose driver has no XDP.
	Generic bool
}

// DropCounter is an XDP program that counts datagrams at an interface, and drops them, before the stack pays for
// them. What it does not count passes, so that neighbours are still resolved. Its methods may be called concurrently.
type DropCounter struct {
	mu       sync.Mutex // guards what follows, for Close
	counters *ebpf.Map
	prog     *ebpf.Program
	link     link.Link
}

// counted is the value of the per-CPU counter map.
type counted struct{ Frames, Bytes uint64 }

const (
	slotMatched = 0
	slotOther   = 1
)

// NewDropCounter loads and attaches the program. It needs CAP_BPF and CAP_NET_ADMIN outside user namespaces.
func NewDropCounter(i *Iface, opts DropCounterOptions) (c *DropCounter, err error) {
	attrs, err := i.Attrs()
	if err != nil {
		return nil, err
	}
	c = &DropCounter{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("count at %s: %w", i.name, err), c.Close())
			c = nil
		}
	}()
	err = memlock.Lift(func() (err error) {
		c.counters, err = ebpf.NewMap(&ebpf.MapSpec{
			Name: "wsk_counters", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: 2,
		})
		return err
	})
	if err != nil {
		return c, fmt.Errorf("create counter map: %w%s", err, bpfHint(err))
	}
	prog, generic, err := loadXDP("wsk_dropcounter", attrs.MTU, counterProgram(c.counters, opts))
	if err != nil {
		return c, err
	}
	c.prog = prog
	c.link, err = attachXDP(i, prog, opts.Generic || generic)
	return c, err
}

// counterProgram: R9 keeps the verdict, the key lies on the stack.
func counterProgram(counters *ebpf.Map, opts DropCounterOptions) asm.Instructions {
	verdict := int32(xdpDrop)
	if opts.Pass {
		verdict = xdpPass
	}
	return append(matchUDP(opts.Port),
		asm.StoreImm(asm.RFP, -4, slotMatched, asm.Word).WithSymbol("match"),
		asm.Mov.Imm(asm.R9, verdict),
		asm.Ja.Label("count"),
		asm.StoreImm(asm.RFP, -4, slotOther, asm.Word).WithSymbol("other"),
		asm.Mov.Imm(asm.R9, xdpPass),
		asm.LoadMapPtr(asm.R1, counters.FD()).WithSymbol("count"),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "done"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.Sub.Reg(asm.R8, asm.R7),
		asm.LoadMem(asm.R1, asm.R0, 8, asm.DWord),
		asm.Add.Reg(asm.R1, asm.R8),
		asm.StoreMem(asm.R0, 8, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R0, asm.R9).WithSymbol("done"),
		asm.Return(),
	)
}

// Count returns the number of frames that matched, over all CPUs.
func (c *DropCounter) Count() (uint64, error) {
	v, err := c.read(slotMatched)
	return v.Frames, err
}

// Bytes returns the Ethernet bytes of the frames that matched, of each frame the part that lies in its first buffer.
func (c *DropCounter) Bytes() (uint64, error) {
	v, err := c.read(slotMatched)
	return v.Bytes, err
}

// Other returns the number of frames that did not match and passed.
func (c *DropCounter) Other() (uint64, error) {
	v, err := c.read(slotOther)
	return v.Frames, err
}

// Wait blocks until at least n frames matched. It looks every 200 µs: a map gives no events.
func (c *DropCounter) Wait(ctx context.Context, n uint64) error {
	var last uint64
	err := Poll(ctx, fmt.Sprintf("%d counted frames", n), func() (_ bool, err error) {
		last, err = c.Count()
		return last >= n, err
	})
	if err != nil {
		return fmt.Errorf("%w (counted %d)", err, last)
	}
	return nil
}

func (c *DropCounter) read(slot uint32) (counted, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counters == nil {
		return counted{}, ErrClosed
	}
	var perCPU []counted
	if err := c.counters.Lookup(slot, &perCPU); err != nil {
		return counted{}, fmt.Errorf("read counter: %w", err)
	}
	var sum counted
	for _, v := range perCPU {
		sum.Frames += v.Frames
		sum.Bytes += v.Bytes
	}
	return sum, nil
}

// Close detaches the program. A second Close does nothing.
func (c *DropCounter) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	if c.link != nil {
		errs = append(errs, c.link.Close())
	}
	if c.prog != nil {
		errs = append(errs, c.prog.Close())
	}
	if c.counters != nil {
		errs = append(errs, c.counters.Close())
	}
	c.link, c.prog, c.counters = nil, nil, nil
	return errors.Join(errs...)
}
