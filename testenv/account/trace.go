// SPDX-License-Identifier: Apache-2.0

package account

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// traceBuffer holds what the reader has not yet read, in bytes: some 50,000 drops.
const traceBuffer = 4 << 20

// event is what the program tells of a dropped packet.
const (
	eventReason   = 0 // enum skb_drop_reason
	eventLocation = 8 // the caller of kfree_skb
	eventTag      = 16
	eventSize     = eventTag + TagLen + 6 // a multiple of 8
)

// Trace listens to the kernel's tracepoint of dropped packets (skb:kfree_skb, Linux 5.17), on the whole machine, for packets that carry
// a tag of one run. What a driver or XDP drops before it has made a packet is not told; counters have it.
type Trace struct {
	run     uint64
	reasons map[uint64]string

	ring    *ebpf.Map
	lost    *ebpf.Map
	prog    *ebpf.Program
	link    link.Link
	reader  *ringbuf.Reader
	done    chan struct{}
	symbols func() []symbol

	mu    sync.Mutex
	drops map[Key]dropped
	err   error
}

// dropped is the first drop that was told of a datagram.
type dropped struct{ reason, location uint64 }

// NewTrace starts to listen. It needs CAP_BPF and CAP_PERFMON. The error wraps [testenv.ErrNotSupported] where the kernel tells no
// reasons, or has no type information.
func NewTrace(run uint64) (t *Trace, err error) {
	t = &Trace{run: run, done: make(chan struct{}), drops: make(map[Key]dropped), symbols: sync.OnceValue(readSymbols)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("trace dropped packets: %w", err), t.Close())
			t = nil
		}
	}()
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return t, fmt.Errorf("read the kernel's types (CONFIG_DEBUG_INFO_BTF): %w: %v", testenv.ErrNotSupported, err)
	}
	layout, err := readLayout(spec)
	if err != nil {
		return t, err
	}
	if t.reasons, err = readReasons(spec); err != nil {
		return t, err
	}
	if err := memlock.Lift(func() error { return t.load(layout) }); err != nil {
		return t, err
	}
	if t.reader, err = ringbuf.NewReader(t.ring); err != nil {
		return t, err
	}
	if t.link, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: "kfree_skb", Program: t.prog}); err != nil {
		return t, err
	}
	go t.read()
	return t, nil
}

func (t *Trace) load(layout skbLayout) (err error) {
	if t.ring, err = ebpf.NewMap(&ebpf.MapSpec{Name: "wsk_drops", Type: ebpf.RingBuf, MaxEntries: traceBuffer}); err != nil {
		return err
	}
	spec := &ebpf.MapSpec{Name: "wsk_lost", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	if t.lost, err = ebpf.NewMap(spec); err != nil {
		return err
	}
	t.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "wsk_drops", Type: ebpf.RawTracepoint, License: "Dual BSD/GPL", Instructions: traceProgram(layout, t.run, t.ring, t.lost),
	})
	return err
}

func (t *Trace) read() {
	defer close(t.done)
	for {
		record, err := t.reader.Read()
		if err != nil {
			if !errors.Is(err, ringbuf.ErrClosed) {
				t.mu.Lock()
				t.err = err
				t.mu.Unlock()
			}
			return
		}
		if len(record.RawSample) < eventSize {
			continue
		}
		b := record.RawSample
		tag, _ := ReadTag(b[eventTag:])
		d := dropped{binary.NativeEndian.Uint64(b[eventReason:]), binary.NativeEndian.Uint64(b[eventLocation:])}
		key := Key{tag.Flow, tag.Seq}
		t.mu.Lock()
		if _, ok := t.drops[key]; !ok {
			t.drops[key] = d
		}
		t.mu.Unlock()
	}
}

// drain waits until what the program has told was read. The kernel says nothing of that, so an empty buffer is looked for.
func (t *Trace) drain() {
	for range 100 {
		if t.reader.AvailableBytes() == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	// The record that was read last may not be noted yet.
	time.Sleep(time.Millisecond)
}

// Drops returns what was told so far, and whether that is all.
func (t *Trace) Drops() (drops map[Key]string, complete bool, err error) {
	t.drain()
	var lost uint64
	if err := t.lost.Lookup(uint32(0), &lost); err != nil {
		return nil, false, fmt.Errorf("read lost drops: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return nil, false, fmt.Errorf("read dropped packets: %w", t.err)
	}
	drops = make(map[Key]string, len(t.drops))
	for k, d := range t.drops {
		drops[k] = t.name(d)
	}
	return drops, lost == 0, nil
}

// name says why and, where the reason says nothing, where.
func (t *Trace) name(d dropped) string {
	reason, ok := t.reasons[d.reason]
	if !ok {
		reason = fmt.Sprintf("reason %d", d.reason)
	}
	if !ok || reason == "NOT_SPECIFIED" {
		return "kernel: " + symbolAt(t.symbols(), d.location)
	}
	return "kernel: " + reason
}

// Close ends the trace. A second Close does nothing.
func (t *Trace) Close() error {
	var errs []error
	running := t.link != nil
	if t.link != nil {
		errs = append(errs, t.link.Close())
	}
	if t.reader != nil {
		errs = append(errs, t.reader.Close())
	}
	if running {
		<-t.done
	}
	if t.prog != nil {
		errs = append(errs, t.prog.Close())
	}
	for _, m := range []*ebpf.Map{t.ring, t.lost} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	t.link, t.reader, t.prog, t.ring, t.lost = nil, nil, nil, nil, nil
	return errors.Join(errs...)
}
