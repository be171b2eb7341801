// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// rule runs the expressions of a rule and answers what it decides. Marks and translations are noted on the way.
func (j *judge) rule(in chainName, rule []expression, here Certainty) []verdict {
	j.regs = registers{}
	m := Yes
	for _, x := range rule {
		f := fields(x.data)
		switch x.name {
		case "cmp":
			m = min(m, j.compare(f))
		case "range":
			m = min(m, j.inRange(f))
		case "lookup":
			var out []verdict
			if m, out = j.lookup(in, f, m); out != nil {
				return out
			}
		case "match":
			m = min(m, j.match(f))
		case "target":
			if v, decides := j.target(f, min(here, m), m); decides {
				return []verdict{v}
			}
		case "immediate":
			if f.number(unix.NFTA_IMMEDIATE_DREG) != 0 {
				value := dataValue(f[unix.NFTA_IMMEDIATE_DATA])
				j.regs.load(f.number(unix.NFTA_IMMEDIATE_DREG), value, nil, len(value), "")
			} else if v := parseVerdict(f[unix.NFTA_IMMEDIATE_DATA]); v.code != codeNone {
				v.sure = m
				return []verdict{v}
			}
		case "reject", "synproxy":
			return []verdict{{code: codeDrop, sure: m}}
		case "queue":
			return []verdict{{code: codeQueue, sure: m}}
		case "nat", "masq", "redir":
			j.translate(min(here, m, j.otherAddress(x.name, f)))
			return []verdict{{code: codeAccept, sure: m}}
		case "limit", "quota", "connlimit", "numgen", "fib", "rt", "socket", "osf", "exthdr", "hash", "xfrm", "tunnel", "inner", "objref":
			m = min(m, j.opaque(x.name, f))
		default:
			j.step(x.name, f, min(here, m))
		}
		if m == No {
			return nil
		}
	}
	return nil
}

// step runs an expression that matches whatever the datagram is: it loads something, or changes it.
func (j *judge) step(name string, f attributes, sure Certainty) {
	switch name {
	case "payload":
		if _, writes := f[unix.NFTA_PAYLOAD_SREG]; writes {
			j.change(sure)
			return
		}
		j.loadPayload(f)
	case "meta":
		if _, writes := f[unix.NFTA_META_SREG]; writes {
			j.setMeta(f.number(unix.NFTA_META_KEY), sure)
			return
		}
		j.loadMeta(f)
	case "ct":
		if _, writes := f[unix.NFTA_CT_SREG]; !writes {
			j.loadConnection(f)
		}
	case "bitwise":
		j.bitwise(f)
	case "byteorder":
		j.byteorder(f)
	case "notrack":
		j.untracked = max(j.untracked, sure)
	case "dup", "fwd", "tproxy", "flow_offload":
		j.change(sure)
	case "counter", "log", "last", "cthelper", "cttimeout", "secmark":
	default: // of a newer kernel: whatever it loads is not known
		j.change(min(sure, Maybe))
		j.unsure(name)
	}
}

// opaque is an expression of which it is not known whether it matches. Those that load something leave their register without a value.
func (j *judge) opaque(name string, f attributes) Certainty {
	switch name {
	case "limit", "quota", "connlimit":
		j.unsure("a limit of rates or numbers")
		return Maybe
	case "objref":
		return Yes // a counter, mostly; a quota or limit by name passes for one that is not used up
	}
	destination := uint16(1)
	switch name {
	case "socket", "tunnel", "hash":
		destination = 2
	case "inner": // an expression within it says which register
		for register := range uint32(4) {
			j.regs.load(1+register, nil, nil, largeRegister, name)
		}
		return Yes
	}
	j.regs.load(f.number(destination), nil, nil, largeRegister, name)
	return Yes
}

func (j *judge) compare(f attributes) Certainty {
	with := dataValue(f[unix.NFTA_CMP_DATA])
	value, known, from, ok := j.regs.read(f.number(unix.NFTA_CMP_SREG), len(with))
	if !ok {
		return Maybe
	}
	sure := Maybe
	switch f.number(unix.NFTA_CMP_OP) {
	case unix.NFT_CMP_EQ:
		sure = equals(value, known, with)
	case unix.NFT_CMP_NEQ:
		sure = equals(value, known, with).not()
	case unix.NFT_CMP_LT:
		sure = within(value, known, with, nil).not()
	case unix.NFT_CMP_LTE:
		sure = within(value, known, nil, with)
	case unix.NFT_CMP_GT:
		sure = within(value, known, nil, with).not()
	case unix.NFT_CMP_GTE:
		sure = within(value, known, with, nil)
	}
	if sure == Maybe {
		j.unsure(from)
	}
	return sure
}

func (j *judge) inRange(f attributes) Certainty {
	least, most := dataValue(f[unix.NFTA_RANGE_FROM_DATA]), dataValue(f[unix.NFTA_RANGE_TO_DATA])
	value, known, from, ok := j.regs.read(f.number(unix.NFTA_RANGE_SREG), len(least))
	if !ok || len(least) != len(most) {
		return Maybe
	}
	sure := within(value, known, least, most)
	if f.number(unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ {
		sure = sure.not()
	}
	if sure == Maybe {
		j.unsure(from)
	}
	return sure
}

// lookup looks into a set or a map. A map of verdicts may decide: then out is not nil.
func (j *judge) lookup(in chainName, f attributes, m Certainty) (sure Certainty, out []verdict) {
	s := j.sets.get(setName{in.family, in.table, f.text(unix.NFTA_LOOKUP_SET)})
	length := s.keyLength()
	value, known, from, ok := j.regs.read(f.number(unix.NFTA_LOOKUP_SREG), length)
	if s.err != nil || !ok {
		j.unsure("the elements of set " + f.text(unix.NFTA_LOOKUP_SET))
		return min(m, Maybe), nil
	}
	register, isMap := f[unix.NFTA_LOOKUP_DREG]
	to := attr{value: register}.number()
	found := s.has(value, known, func(x element, sure Certainty) {
		switch {
		case !isMap:
		case to == 0:
			v := x.verdict
			if v.sure = min(m, sure); v.code != codeNone {
				out = append(out, v)
			}
		case sure == Yes:
			j.regs.load(to, x.value, nil, len(x.value), "")
		default:
			j.regs.load(to, nil, nil, max(len(x.value), smallRegister), from)
		}
	})
	if found == Maybe {
		j.unsure(from)
	}
	if f.number(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0 {
		found = found.not()
	}
	// Of several verdicts that it may be, each may be.
	return min(m, found), out
}

func (s *set) keyLength() int {
	if len(s.ranges) == 0 {
		return 0
	}
	return len(s.ranges[0].from)
}

// loadPayload loads bytes of the headers.
func (j *judge) loadPayload(f attributes) {
	offset, length := int(f.number(unix.NFTA_PAYLOAD_OFFSET)), int(f.number(unix.NFTA_PAYLOAD_LEN))
	header, known, what := j.header(f.number(unix.NFTA_PAYLOAD_BASE))
	if offset < 0 || length <= 0 || length > largeRegister {
		return
	}
	if offset+length > len(header) {
		j.regs.load(f.number(unix.NFTA_PAYLOAD_DREG), nil, nil, length, "its payload")
		return
	}
	j.regs.load(f.number(unix.NFTA_PAYLOAD_DREG), header[offset:offset+length], known[offset:offset+length], length, what(offset))
}

// header is one of the headers of the datagram with what is known of it.
func (j *judge) header(base uint32) (header, known []byte, what func(offset int) string) {
	set := func(at int, value ...byte) {
		copy(header[at:], value)
		for i := range value {
			known[at+i] = 0xff
		}
	}
	switch base {
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		source, destination, length, addresses := j.d.Source, j.d.Destination, 40, 8
		if destination.Is4() {
			length, addresses = 20, 12
		}
		header, known = make([]byte, length), make([]byte, length)
		if destination.Is4() {
			set(0, 0x45, 0)
			set(9, unix.IPPROTO_UDP)
		} else {
			set(6, unix.IPPROTO_UDP)
		}
		if !j.natted {
			if source.IsValid() {
				set(addresses, source.AsSlice()...)
			}
			set(addresses+len(destination.AsSlice()), destination.WithZone("").AsSlice()...)
		}
		return header, known, func(offset int) string {
			if offset >= addresses {
				return "an address"
			}
			return "its IP header"
		}
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		header, known = make([]byte, 8), make([]byte, 8)
		if j.d.SourcePort != 0 && !j.natted {
			set(0, binary.BigEndian.AppendUint16(nil, j.d.SourcePort)...)
		}
		if j.d.DestinationPort != 0 && !j.natted {
			set(2, binary.BigEndian.AppendUint16(nil, j.d.DestinationPort)...)
		}
		return header, known, func(offset int) string {
			if offset < 4 {
				return "a port"
			}
			return "its length"
		}
	}
	return nil, nil, func(int) string { return "its payload" }
}

func (j *judge) bitwise(f attributes) {
	length := int(f.number(unix.NFTA_BITWISE_LEN))
	value, known, from, ok := j.regs.read(f.number(unix.NFTA_BITWISE_SREG), length)
	mask, xor := dataValue(f[unix.NFTA_BITWISE_MASK]), dataValue(f[unix.NFTA_BITWISE_XOR])
	if !ok || len(mask) < length || len(xor) < length {
		j.regs.load(f.number(unix.NFTA_BITWISE_DREG), nil, nil, max(length, smallRegister), from) // a shift, or with another register
		return
	}
	value, known = slices.Clone(value), slices.Clone(known)
	for i := range value {
		known[i] |= ^mask[i]
		value[i] = value[i]&mask[i] ^ xor[i]
	}
	j.regs.load(f.number(unix.NFTA_BITWISE_DREG), value, known, length, from)
}

func (j *judge) byteorder(f attributes) {
	length, size := int(f.number(unix.NFTA_BYTEORDER_LEN)), int(f.number(unix.NFTA_BYTEORDER_SIZE))
	value, known, from, ok := j.regs.read(f.number(unix.NFTA_BYTEORDER_SREG), length)
	if !ok || size < 2 || length%size != 0 {
		return
	}
	value, known = slices.Clone(value), slices.Clone(known)
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		for i := 0; i < length; i += size {
			slices.Reverse(value[i : i+size])
			slices.Reverse(known[i : i+size])
		}
	}
	j.regs.load(f.number(unix.NFTA_BYTEORDER_DREG), value, known, length, from)
}
