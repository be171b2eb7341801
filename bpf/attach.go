// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Mode says where the program runs.
type Mode uint8

const (
	// Auto tries Native and then Generic.
	Auto Mode = iota
	// Native runs in the driver, before the kernel has made anything of the frame.
	Native
	// Generic runs in the kernel's receive path, on any interface, at the price of the socket buffer.
	Generic
	// Offload runs in the NIC. Another program may be found in this mode; this one is never attached so.
	Offload
)

// String names the mode as the CLI spells it.
func (m Mode) String() string {
	switch m {
	case Auto:
		return "auto"
	case Native:
		return "native"
	case Generic:
		return "generic"
	case Offload:
		return "offload"
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Attachment is a Program at an interface. Closing it detaches the program. Its methods may be called concurrently.
type Attachment struct {
	program  *Program
	ifindex  int
	mode     Mode
	fallback error
	merged   bool      // a frame may be several datagrams in one buffer
	link     link.Link // nil when closed; guarded by program.mu
}

// Attach makes the program run for every frame that the interface receives. The index is that of the network namespace of
// the calling thread. With Auto the mode that was granted, and why it is not Native, are in the Attachment.
//
// A program that is attached already is never replaced: the error then is a *ConflictError that names it. Other errors are
// an *AttachError with the errno and what to do about it.
//
// Many drivers reset the link when a program is attached in native mode: carrier may be gone for seconds, and a bond may
// take the port out of service. Wait for carrier before sending. Detaching does the same. Other methods of the Program wait while
// the driver works.
func (p *Program) Attach(ifindex int, mode Mode) (*Attachment, error) {
	if mode > Generic {
		return nil, fmt.Errorf("attach XDP program: %v: want auto, native or generic", mode)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("attach XDP program: %w", ErrClosed)
	}
	a := &Attachment{program: p, ifindex: ifindex}
	first := mode
	if mode == Auto {
		first = Native
	}
	err := a.tryLocked(first)
	if mode == Auto && fallsBack(err) {
		a.fallback = err
		if err = a.tryLocked(Generic); err != nil {
			err = errors.Join(a.fallback, err)
		}
	}
	if err != nil {
		return nil, err
	}
	p.attachments[a] = struct{}{}
	return a, nil
}

// fallsBack: what stands in the way of native mode because of the driver, not because of privilege or another program, which would
// stand in the way of generic mode too.
func fallsBack(err error) bool {
	if err == nil {
		return false
	}
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return false
	}
	for _, final := range []error{unix.EPERM, unix.EACCES, unix.ENODEV, unix.EBUSY, unix.EEXIST} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// tryLocked attaches in one mode and reads back what was granted.
func (a *Attachment) tryLocked(mode Mode) error {
	flags := link.XDPDriverMode
	if mode == Generic {
		flags = link.XDPGenericMode
	}
	if err := a.expectMergedLocked(mode); err != nil {
		return newAttachError(a.ifindex, mode, err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: a.program.prog, Interface: a.ifindex, Flags: flags})
	if err != nil {
		return newAttachError(a.ifindex, mode, err)
	}
	facts, err := queryInterface(a.ifindex)
	if err != nil {
		return errors.Join(newAttachError(a.ifindex, mode, fmt.Errorf("read the mode back: %w", err)), l.Close())
	}
	for _, h := range facts.holders {
		if h.ID == a.program.ID() {
			a.link, a.mode = l, h.Mode
			return nil
		}
	}
	err = fmt.Errorf("the kernel accepted it and does not list it: %w", unix.ENODEV)
	return errors.Join(newAttachError(a.ifindex, mode, err), l.Close())
}

// expectMergedLocked tells the program, before it sees a frame, whether there may be several datagrams in one. In the driver there are
// not: veth and the NICs cut, and merge none, while a program is attached. A tun device hands what is not cut yet to
// the program all the same (tun_get_user and tun_xdp_one, drivers/net/tun.c).
func (a *Attachment) expectMergedLocked(mode Mode) error {
	facts, err := queryInterface(a.ifindex)
	if err != nil {
		return err
	}
	a.merged = mode == Generic || facts.kind == "tun"
	any := a.merged
	for other := range a.program.attachments {
		any = any || other.merged
	}
	if any == a.program.merged {
		return nil
	}
	var value uint32
	if any {
		value = 1
	}
	if err := a.program.maps.WskxdpMerged.Update(uint32(0), value, ebpf.UpdateAny); err != nil {
		return fmt.Errorf("say whether datagrams may be merged: %w", err)
	}
	a.program.merged = any
	return nil
}

// Mode returns the mode that the kernel granted, Native or Generic, as it was read back.
func (a *Attachment) Mode() Mode { return a.mode }

// Fallback returns why the program does not run in native mode although Auto tried it, else nil.
func (a *Attachment) Fallback() error { return a.fallback }

// Ifindex returns the index of the interface.
func (a *Attachment) Ifindex() int { return a.ifindex }

// Attached tells whether the program is still attached: it is not when the interface is gone, or when somebody detached the link by
// force (bpftool link detach).
func (a *Attachment) Attached() (bool, error) {
	a.program.mu.Lock()
	defer a.program.mu.Unlock()
	if a.link == nil {
		return false, nil
	}
	info, err := a.link.Info()
	if err != nil {
		return false, fmt.Errorf("query link at interface %d: %w", a.ifindex, err)
	}
	x := info.XDP()
	return x != nil && x.Ifindex != 0, nil
}

// Close detaches the program; frames go to the kernel from then on. A second Close does nothing.
func (a *Attachment) Close() error {
	a.program.mu.Lock()
	defer a.program.mu.Unlock()
	return a.closeLocked()
}

func (a *Attachment) closeLocked() error {
	if a.link == nil {
		return nil
	}
	// Closing the descriptor is not enough where a child process has inherited it between fork and exec.
	err := a.link.Detach()
	if errors.Is(err, link.ErrNotSupported) {
		err = nil
	}
	if err = errors.Join(err, a.link.Close()); err != nil {
		err = fmt.Errorf("detach XDP program from interface %d: %w", a.ifindex, err)
	}
	a.link = nil
	delete(a.program.attachments, a)
	return err
}
