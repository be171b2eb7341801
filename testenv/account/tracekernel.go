// SPDX-License-Identifier: Apache-2.0

package account

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// skbLayout are offsets in struct sk_buff, in bytes.
type skbLayout struct{ head, data, mac, transport int16 }

func readLayout(spec *btf.Spec) (l skbLayout, err error) {
	var skb *btf.Struct
	if err := spec.TypeByName("sk_buff", &skb); err != nil {
		return l, err
	}
	for name, at := range map[string]*int16{
		"head": &l.head, "data": &l.data, "mac_header": &l.mac, "transport_header": &l.transport,
	} {
		offset, ok := memberOffset(skb.Members, name)
		if !ok {
			return l, fmt.Errorf("struct sk_buff has no %s", name)
		}
		*at = int16(offset)
	}
	return l, nil
}

// memberOffset looks for a member by name, in anonymous members too.
func memberOffset(members []btf.Member, name string) (bytes uint32, ok bool) {
	for _, m := range members {
		if m.Name == name {
			return m.Offset.Bytes(), true
		}
		if m.Name != "" && m.Name != "headers" {
			continue
		}
		var inner []btf.Member
		switch t := btf.UnderlyingType(m.Type).(type) {
		case *btf.Struct:
			inner = t.Members
		case *btf.Union:
			inner = t.Members
		}
		if at, ok := memberOffset(inner, name); ok {
			return m.Offset.Bytes() + at, true
		}
	}
	return 0, false
}

// readReasons returns the names of enum skb_drop_reason.
func readReasons(spec *btf.Spec) (map[uint64]string, error) {
	var enum *btf.Enum
	if err := spec.TypeByName("skb_drop_reason", &enum); err != nil {
		return nil, fmt.Errorf("tell reasons of drops (Linux 5.17 does): %w: %v", testenv.ErrNotSupported, err)
	}
	out := make(map[uint64]string)
	for _, v := range enum.Values {
		name := strings.TrimPrefix(v.Name, "SKB_DROP_REASON_")
		if old, ok := out[v.Value]; !ok || len(name) < len(old) {
			out[v.Value] = name
		}
	}
	return out, nil
}

// places are where the payload of a datagram may begin: behind the link-layer header, with and without tag; behind the UDP header of
// one that this host sends; at the data, whichever layer has it.
var places = []struct {
	base   string
	offset int32
}{
	{"mac", 14 + 28}, {"mac", 14 + 48}, {"mac", 18 + 28}, {"mac", 18 + 48}, {"transport", 8}, {"data", 0}, {"data", 8}, {"data", 28}, {"data", 48},
	{"data", 14 + 28}, {"data", 14 + 48},
}

// traceProgram looks for the run's number at each place and tells reason, location and tag. R6 is the context, R7 the packet, R8 the
// run, R9 where the payload may be; the event lies on the stack from -64 on, what is read at -72.
func traceProgram(l skbLayout, run uint64, ring, lost *ebpf.Map) asm.Instructions {
	const event, scratch = -64, -72
	read := func(to int32, size int32, from asm.Register, offset int32) asm.Instructions {
		return asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, to), asm.Mov.Imm(asm.R2, size),
			asm.Mov.Reg(asm.R3, from), asm.Add.Imm(asm.R3, offset), asm.FnProbeReadKernel.Call(),
		}
	}
	ins := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1), asm.LoadMem(asm.R7, asm.R6, 0, asm.DWord), asm.LoadImm(asm.R8, int64(run), asm.DWord)}
	for i, p := range places {
		next := fmt.Sprintf("place%d", i+1)
		var part asm.Instructions
		switch p.base {
		case "data":
			part = append(part, read(scratch, 8, asm.R7, int32(l.data))...)
			part = append(part, asm.LoadMem(asm.R9, asm.RFP, scratch, asm.DWord))
		default:
			at := l.mac
			if p.base == "transport" {
				at = l.transport
			}
			part = append(part, asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.RFP, scratch, asm.R0, asm.DWord))
			part = append(part, read(scratch, 2, asm.R7, int32(at))...)
			part = append(part, asm.LoadMem(asm.R9, asm.RFP, scratch, asm.DWord), asm.JEq.Imm(asm.R9, 0xffff, next))
			part = append(part, read(scratch, 8, asm.R7, int32(l.head))...)
			part = append(part, asm.LoadMem(asm.R0, asm.RFP, scratch, asm.DWord), asm.Add.Reg(asm.R9, asm.R0))
		}
		part = append(part, asm.Add.Imm(asm.R9, p.offset))
		part = append(part, read(scratch, 8, asm.R9, 0)...)
		part = append(part, asm.JNE.Imm(asm.R0, 0, next), asm.LoadMem(asm.R0, asm.RFP, scratch, asm.DWord),
			asm.JEq.Reg(asm.R0, asm.R8, "found"))
		if i > 0 {
			part[0] = part[0].WithSymbol(fmt.Sprintf("place%d", i))
		}
		ins = append(ins, part...)
	}
	ins = append(ins, asm.Mov.Imm(asm.R0, 0).WithSymbol(fmt.Sprintf("place%d", len(places))), asm.Return())
	tell := read(event+eventTag, eventSize-eventTag, asm.R9, 0)
	tell[0] = tell[0].WithSymbol("found")
	ins = append(ins, tell...)
	return append(ins,
		asm.LoadMem(asm.R0, asm.R6, 16, asm.DWord), asm.StoreMem(asm.RFP, event+eventReason, asm.R0, asm.DWord),
		asm.LoadMem(asm.R0, asm.R6, 8, asm.DWord), asm.StoreMem(asm.RFP, event+eventLocation, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, ring.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, event),
		asm.Mov.Imm(asm.R3, eventSize), asm.Mov.Imm(asm.R4, 0), asm.FnRingbufOutput.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.StoreImm(asm.RFP, scratch, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, lost.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, scratch), asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "end"),
		asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"), asm.Return(),
	)
}

// symbol is a function of the kernel.
type symbol struct {
	at   uint64
	name string
}

// readSymbols lists the kernel's functions, none where their addresses are kept secret.
func readSymbols() (out []symbol) {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[1] != "t" && fields[1] != "T" {
			continue
		}
		if at, err := strconv.ParseUint(fields[0], 16, 64); err == nil && at != 0 {
			out = append(out, symbol{at, fields[2]})
		}
	}
	slices.SortFunc(out, func(a, b symbol) int { return cmp.Compare(a.at, b.at) })
	return out
}

func symbolAt(symbols []symbol, at uint64) string {
	i, _ := slices.BinarySearchFunc(symbols, at+1, func(s symbol, at uint64) int { return cmp.Compare(s.at, at) })
	if i == 0 {
		return "dropped somewhere"
	}
	return "dropped in " + symbols[i-1].name
}
