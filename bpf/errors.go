// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bpf

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// ConflictError says that the interface has an XDP program already. It wraps EBUSY or EEXIST.
type ConflictError struct {
	Ifindex int
	// Ifname is "" where it is not known.
	Ifname string
	// Mode is the mode that was asked for.
	Mode Mode
	// Holders are the programs that are attached, at least one.
	Holders []Holder
	// Err is the kernel's answer.
	Err error
}

func (e *ConflictError) Error() string {
	var held []string
	for _, h := range e.Holders {
		held = append(held, h.String())
	}
	return fmt.Sprintf("attach XDP program to %s (%v): %v: it has %s and a foreign program is never replaced; %s",
		interfaceName(e.Ifname, e.Ifindex), e.Mode, e.Err, strings.Join(held, " and "), e.remedy())
}

func (e *ConflictError) remedy() string {
	dev := e.Ifname
	if dev == "" {
		dev = "DEVICE"
	}
	for _, h := range e.Holders {
		switch {
		case h.Dispatcher():
			return fmt.Sprintf("it is the dispatcher of libxdp: see what runs in it with xdp-loader status %s, "+
				"and end that or xdp-loader unload %s --all; sending in copy mode needs no program", dev, dev)
		case h.Own():
			return "it is a wsk-xdp program of another Program or process: end that, or use its interface through the daemon"
		}
	}
	return fmt.Sprintf("end the program's owner (bpftool net show dev %s), or ip link set dev %s xdp off; "+
		"sending in copy mode needs no program", dev, dev)
}

// Unwrap returns the kernel's answer.
func (e *ConflictError) Unwrap() error { return e.Err }

// AttachError says why the kernel did not attach the program.
type AttachError struct {
	Ifindex int
	// Ifname is "" where it is not known.
	Ifname string
	Mode   Mode
	// Err wraps the errno.
	Err error
	// Hint says what to do about it, or is empty.
	Hint string
}

func (e *AttachError) Error() string {
	s := fmt.Sprintf("attach XDP program to %s (%v): %v", interfaceName(e.Ifname, e.Ifindex), e.Mode, e.Err)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the cause.
func (e *AttachError) Unwrap() error { return e.Err }

func interfaceName(name string, index int) string {
	if name == "" {
		return fmt.Sprintf("interface %d", index)
	}
	return fmt.Sprintf("%s (interface %d)", name, index)
}

// newAttachError turns the kernel's answer into words. EBUSY comes for a program in the same mode, EEXIST for one in the other
// (net/core/dev.c, dev_xdp_attach); whether there is one is asked, since drivers have other reasons for EBUSY.
func newAttachError(ifindex int, mode Mode, err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno // what the library wraps around it says nothing more
	}
	facts, queryErr := queryInterface(ifindex)
	name, holders := facts.name, facts.holders
	if errors.Is(queryErr, unix.ENODEV) {
		err = unix.ENODEV // to bpf_link it is EINVAL
	}
	if (errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST)) && queryErr == nil && len(holders) > 0 {
		for i := range holders {
			holders[i].readName()
		}
		return &ConflictError{Ifindex: ifindex, Ifname: name, Mode: mode, Holders: holders, Err: err}
	}
	return &AttachError{Ifindex: ifindex, Ifname: name, Mode: mode, Err: err, Hint: attachHint(mode, err)}
}

// attachHint says what the kernel, or most drivers, mean by an errno.
func attachHint(mode Mode, err error) string {
	native := mode == Native
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "it needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN outside user namespaces: run as root"
	case errors.Is(err, unix.ENODEV):
		return "there is no such interface in this network namespace"
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return "no other program is attached, so the device is busy, with a reset perhaps: try again"
	case errors.Is(err, unix.ERANGE):
		return "the MTU, or the peer's on veth, is too large for a frame in one buffer: lower it to 3000 or less, " +
			"load the program with support for several buffers (Linux 6.1, not Options.NoFrags), or use generic mode"
	case errors.Is(err, unix.EOPNOTSUPP) && native:
		return "the driver has no native XDP, or none with its present MTU and offloads: use generic mode"
	case errors.Is(err, unix.EOPNOTSUPP):
		return "this kind of interface runs no XDP programs"
	case errors.Is(err, unix.ENOSPC) && native:
		return "there are too few queues: a veth needs as many receive queues as its peer has transmit queues (ethtool -L)"
	case errors.Is(err, unix.ENOMEM) && native, errors.Is(err, unix.E2BIG) && native:
		return "the driver needs a transmit queue of its own for each CPU or channel: use fewer channels (ethtool -L), or generic mode"
	case errors.Is(err, unix.EINVAL) && native:
		return "drivers answer so to an MTU too large for one buffer and to offloads such as LRO: lower the MTU, turn LRO off, " +
			"or use generic mode"
	}
	return ""
}
