// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
)

// XDP verdicts and the layout of struct xdp_md (include/uapi/linux/bpf.h).
const (
	xdpDrop = 1
	xdpPass = 2

	ctxData    = 0
	ctxDataEnd = 4
	ctxQueue   = 16
)

// linearMTU is the largest MTU that a native program without fragment support is attached at: above it veth would
// need more than a page for a frame (3520 on x86; somewhat less where structures are larger).
const linearMTU = 3000

// matchUDP returns instructions that jump to "match" for a UDP frame over IPv4 or IPv6 and to "other" for everything
// else, leaving the context in R6, the start of the frame in R7 and its end in R8. With port 0 fragments and 802.1Q
// frames match too; with a port only whole, untagged datagrams to it, without IP options, do.
func matchUDP(port uint16) asm.Instructions {
	be := func(v uint16) int32 { return int32(htons(v)) }
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R7, asm.R6, ctxData, asm.Word),
		asm.LoadMem(asm.R8, asm.R6, ctxDataEnd, asm.Word),
		// Everything up to the UDP destination port behind an IPv4 header.
		asm.Mov.Reg(asm.R1, asm.R7),
		asm.Add.Imm(asm.R1, 14+20+4),
		asm.JGT.Reg(asm.R1, asm.R8, "other"),
		asm.LoadMem(asm.R2, asm.R7, 12, asm.Half),
		asm.JEq.Imm(asm.R2, be(unix.ETH_P_IP), "ipv4"),
		asm.JEq.Imm(asm.R2, be(unix.ETH_P_IPV6), "ipv6"),
	}
	if port == 0 {
		ins = append(ins, asm.JEq.Imm(asm.R2, be(unix.ETH_P_8021Q), "match"))
	}
	ins = append(ins,
		asm.Ja.Label("other"),
		asm.LoadMem(asm.R3, asm.R7, 14+9, asm.Byte).WithSymbol("ipv4"),
		asm.JNE.Imm(asm.R3, unix.IPPROTO_UDP, "other"),
	)
	if port != 0 {
		ins = append(ins,
			asm.LoadMem(asm.R3, asm.R7, 14, asm.Byte),
			asm.JNE.Imm(asm.R3, 0x45, "other"),
			asm.LoadMem(asm.R3, asm.R7, 14+6, asm.Half),
			asm.And.Imm(asm.R3, be(0x3fff)), // more fragments, or an offset
			asm.JNE.Imm(asm.R3, 0, "other"),
			asm.LoadMem(asm.R3, asm.R7, 14+20+2, asm.Half),
			asm.JNE.Imm(asm.R3, be(port), "other"),
		)
	}
	ins = append(ins,
		asm.Ja.Label("match"),
		asm.LoadMem(asm.R3, asm.R7, 14+6, asm.Byte).WithSymbol("ipv6"),
	)
	if port == 0 {
		ins = append(ins, asm.JEq.Imm(asm.R3, unix.IPPROTO_FRAGMENT, "match"))
	}
	ins = append(ins, asm.JNE.Imm(asm.R3, unix.IPPROTO_UDP, "other"))
	if port != 0 {
		ins = append(ins,
			asm.Mov.Reg(asm.R1, asm.R7),
			asm.Add.Imm(asm.R1, 14+40+4),
			asm.JGT.Reg(asm.R1, asm.R8, "other"),
			asm.LoadMem(asm.R3, asm.R7, 14+40+2, asm.Half),
			asm.JNE.Imm(asm.R3, be(port), "other"),
		)
	}
	return append(ins, asm.Ja.Label("match"))
}

// loadXDP loads a program, with fragment support where the MTU asks for it. generic says that the kernel has none
// (Linux 5.10), so that only generic mode takes the program on an interface of that MTU.
func loadXDP(name string, mtu int, ins asm.Instructions) (prog *ebpf.Program, generic bool, err error) {
	load := func(flags uint32) error {
		return memlock.Lift(func() (err error) {
			spec := &ebpf.ProgramSpec{Name: name, Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: ins, Flags: flags}
			prog, err = ebpf.NewProgram(spec)
			return err
		})
	}
	if mtu <= linearMTU {
		err = load(0)
	} else if err = load(unix.BPF_F_XDP_HAS_FRAGS); errors.Is(err, unix.EINVAL) {
		generic, err = true, load(0)
	}
	if err != nil {
		return nil, false, fmt.Errorf("load XDP program %s: %w%s", name, err, bpfHint(err))
	}
	return prog, generic, nil
}

// attachXDP attaches to the interface through a bpf_link, which dies with the descriptor or the interface. A program
// that is there already makes it fail.
func attachXDP(i *Iface, prog *ebpf.Program, generic bool) (link.Link, error) {
	mode, name := link.XDPDriverMode, "native"
	if generic {
		mode, name = link.XDPGenericMode, "generic"
	}
	var l link.Link
	err := i.ns.Do(func() (err error) {
		l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: i.Index(), Flags: mode})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("attach XDP program to %s (%s): %w%s", i.name, name, err, bpfHint(err))
	}
	return l, nil
}

func bpfHint(err error) string {
	if errors.Is(err, unix.EPERM) {
		return " (XDP programs need CAP_BPF and CAP_NET_ADMIN outside user namespaces: run as root)"
	}
	return ""
}

func privilegeHint(err error) string {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return " (run as root, or inside a user namespace: unshare -Urn)"
	}
	return ""
}
