// SPDX-License-Identifier: Apache-2.0

package device

import "github.com/wsk-xdp/wsk-xdp/bpf"

// ProgramInfo is an XDP program of Options.Receive and what it has done.
type ProgramInfo struct {
	Interface string
	// Mode is what the kernel granted, native or generic; Fallback why it is not native.
	Mode     bpf.Mode
	Fallback error
	// TagsUnseen says that a frame of a VLAN may be taken for an untagged one: see Options.ReceiveTagsUnseen, and on veth before
	// Linux 6.8.
	TagsUnseen bool
	Ports      int          // entries
	MaxFrame   int          // longer frames go through the kernel's stack
	Counters   bpf.Counters // frames by bpf.Reason
}

func (p *Program) Info() ProgramInfo {
	out := ProgramInfo{Interface: p.Name, MaxFrame: p.maxFrame, TagsUnseen: p.unseen.Load()}
	if a := p.attachment(); a != nil {
		out.Mode, out.Fallback = a.Mode(), a.Fallback()
	}
	out.Ports = p.Ports()
	out.Counters, _ = p.Prog.Counters()
	return out
}
