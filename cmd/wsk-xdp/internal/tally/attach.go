// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
)

var (
	// ErrTaken is wrapped where an interface has an XDP program already, which is not replaced.
	ErrTaken = errors.New("it has an XDP program already")
	// ErrRefused is wrapped where the kernel is one that does not take the program.
	ErrRefused = errors.New("this kernel refuses the XDP program, which takes Linux 5.12 (BPF_CMPXCHG) and was tried on 6.1 and 6.18: count with another engine")
)

// attach attaches the program to an interface that has none, in the driver where that can be.
func (m *memory) attach(o *Options, at int, i Interface) (l link.Link, generic bool, err error) {
	switch held, err := bpf.Holders(i.Index); {
	case err != nil:
		return nil, false, err
	case len(held) > 0:
		return nil, false, taken(i, held)
	}
	l, err = m.link(o, at, i, link.XDPDriverMode)
	if fallsBack(err) {
		native := err
		i.Merged = true
		if l, err = m.link(o, at, i, link.XDPGenericMode); err != nil {
			err = errors.Join(native, err)
		} else {
			generic = true
		}
	}
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		if held, asked := bpf.Holders(i.Index); asked == nil && len(held) > 0 {
			return nil, false, taken(i, held)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("attach the XDP program to %s: %w", i.Name, err)
	}
	return l, generic, nil
}

// fallsBack is whether the driver is in the way, which it is not of another mode.
func fallsBack(err error) bool {
	var errno unix.Errno
	return errors.As(err, &errno) && errno != unix.EBUSY && errno != unix.EEXIST && errno != unix.ENODEV && !errors.Is(err, fs.ErrPermission) &&
		!errors.Is(err, ErrRefused)
}

func taken(i Interface, held []bpf.Holder) error {
	var names []string
	for _, h := range held {
		names = append(names, h.String())
	}
	return fmt.Errorf("%w: %s has %s, which is not replaced: end whoever owns it (bpftool net show dev %s), or count with another engine",
		ErrTaken, i.Name, strings.Join(names, " and "), i.Name)
}

// link loads the program for an interface and attaches it in a mode.
func (m *memory) link(o *Options, at int, i Interface, mode link.XDPAttachFlags) (link.Link, error) {
	prog, err := m.program(o, at, i)
	if err != nil {
		return nil, err
	}
	defer prog.Close() // the link keeps it
	return link.AttachXDP(link.XDPOptions{Program: prog, Interface: i.Index, Flags: mode})
}

// program loads the program for an interface.
func (m *memory) program(o *Options, at int, i Interface) (*ebpf.Program, error) {
	spec, err := m.spec(o)
	if err != nil {
		return nil, err
	}
	c := wsktallyTallyConfig{
		Window: uint64(o.Window), Cells: uint64(m.cells), Stamps: word(o.Stamps), Merged: word(i.Merged), Tagged: word(len(i.VLANs) > 0),
		Place: uint32(at),
	}
	c.Port = binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, o.Port))
	copy(c.Mac[:], i.MAC)
	if err := spec.Variables[wsktallyVarWsktallyConfig].Set(c); err != nil {
		return nil, err
	}
	shared := map[string]*ebpf.Map{}
	for name := range spec.Maps {
		if one := m.maps[name]; one != nil {
			shared[name] = one
		}
	}
	var loaded struct {
		Program *ebpf.Program `ebpf:"wsktally"`
	}
	err = memlock.Lift(func() error { return spec.LoadAndAssign(&loaded, &ebpf.CollectionOptions{MapReplacements: shared}) })
	if err != nil {
		return nil, refused(fmt.Errorf("load the XDP program: %w", err))
	}
	return loaded.Program, nil
}

// refused tells what the kernel has against the program from other reasons for which it could not be loaded, such as memory.
func refused(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, ebpf.ErrNotSupported) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}
