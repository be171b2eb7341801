// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf/memlock"
)

// skbMark is where struct __sk_buff has the mark (include/uapi/linux/bpf.h).
const skbMark = 8

// TagBeside gives each frame that leaves the interface with a mark a VLAN tag: the upper half of the mark is its TPID, the lower
// half its TCI. The tag goes beside the frame, as a VLAN device gives it to a device with tx-vlan-offload. It lasts as long as the
// interface.
func (i *Iface) TagBeside() error {
	program, err := loadTagger()
	if err != nil {
		return fmt.Errorf("tag frames of %s: load program: %w%s", i.name, err, privilegeHint(err))
	}
	defer program.Close()
	h, err := i.ns.Netlink()
	if err != nil {
		return err
	}
	err = h.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: i.Index(), Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("tag frames of %s: add clsact (needs CONFIG_NET_SCH_INGRESS): %w", i.name, err)
	}
	err = h.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: i.Index(), Parent: netlink.HANDLE_MIN_EGRESS, Priority: 1, Protocol: unix.ETH_P_ALL,
		},
		Fd: program.FD(), Name: "tag beside", DirectAction: true,
	})
	if err != nil {
		return fmt.Errorf("tag frames of %s: add filter (needs CONFIG_NET_CLS_BPF): %w", i.name, err)
	}
	return nil
}

func loadTagger() (program *ebpf.Program, err error) {
	ins := asm.Instructions{
		asm.LoadMem(asm.R3, asm.R1, skbMark, asm.Word),
		asm.JEq.Imm(asm.R3, 0, "out"),
		asm.Mov.Reg(asm.R2, asm.R3),
		asm.RSh.Imm(asm.R2, 16),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.And.Imm(asm.R3, 0xffff),
		asm.FnSkbVlanPush.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"), // TC_ACT_OK
		asm.Return(),
	}
	err = memlock.Lift(func() error {
		program, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: ins, License: "GPL"})
		return err
	})
	return program, err
}
