// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"cmp"
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// rule runs the expressions of a rule and answers what it decides. Marks and translations are noted on the way.
func (j *judge) rule(in chainName, rule []expression, here Certainty) []verdict {
	j.regs = registers{}
	told := len(j.out.DependsOn)
	m, out := j.run(in, rule, here)
	if m == No && len(out) == 0 {
		j.out.DependsOn = j.out.DependsOn[:told] // it does not match, whatever that is
	}
	return out
}

// run is rule; m is whether all of its expressions matched.
func (j *judge) run(in chainName, rule []expression, here Certainty) (m Certainty, out []verdict) {
	m = Yes
	for _, x := range rule {
		f := fields(x.data)
		switch x.name {
		case "cmp":
			m = min(m, j.compare(f))
		case "range":
			m = min(m, j.inRange(f))
		case "lookup":
			var decided []verdict
			if m, decided = j.lookup(in, f, m); decided != nil {
				return m, append(out, decided...)
			}
		case "match":
			m = min(m, j.match(f))
		case "target":
			v, decides := j.target(f, min(here, m), m)
			if decides {
				return m, append(out, v)
			}
			if v.code == codeAny {
				m, out = v.sure, append(out, v)
			}
		case "immediate":
			if f.number(unix.NFTA_IMMEDIATE_DREG) != 0 {
				value := dataValue(f[unix.NFTA_IMMEDIATE_DATA])
				j.regs.load(f.number(unix.NFTA_IMMEDIATE_DREG), value, nil, len(value), "")
			} else if v := parseVerdict(f[unix.NFTA_IMMEDIATE_DATA]); v.code != codeNone {
				v.sure = m
				return m, append(out, v)
			}
		case "reject", "fwd": // what is forwarded by another device goes no further here
			return m, append(out, verdict{code: codeDrop, sure: m})
		case "synproxy": // is for TCP
			m = No
		case "queue":
			return m, append(out, verdict{code: codeQueue, sure: m})
		case "nat", "masq", "redir":
			if family := f.number(natFamily); x.name == "nat" && family != unix.NFPROTO_INET && family != uint32(j.family()) {
				continue // is for the other one
			}
			j.maps(min(here, m, j.otherAddress(x.name, f)), min(here, m))
			return m, append(out, verdict{code: codeAccept, sure: m})
		default:
			does, known := j.step(x.name, f, min(here, m))
			if m = min(m, does); !known {
				j.regs.forget(x.name)
				out = append(out, verdict{code: codeAny, sure: m})
			}
		}
		if m == No {
			break
		}
	}
	return m, out
}

// step runs an expression that loads something, or changes it, and answers whether the rule goes on; known is false of an expression of a
// newer kernel, which may do anything.
func (j *judge) step(name string, f attributes, sure Certainty) (does Certainty, known bool) {
	switch name {
	case "payload":
		if _, writes := f[unix.NFTA_PAYLOAD_SREG]; writes {
			j.rewrite(sure)
		} else {
			j.loadPayload(f)
		}
	case "meta":
		if _, writes := f[unix.NFTA_META_SREG]; writes {
			j.setMeta(f.number(unix.NFTA_META_KEY), sure)
		} else {
			j.loadMeta(f)
		}
	case "ct":
		if _, writes := f[unix.NFTA_CT_SREG]; !writes {
			j.loadConnection(f)
		} else if f.number(ctKey) == unix.NFT_CT_ZONE { // in another zone it has another connection
			j.setUntracked(min(sure, Maybe))
		}
	case "bitwise":
		j.bitwise(f)
	case "byteorder":
		j.byteorder(f)
	case "notrack":
		j.setUntracked(sure)
	case "dup", "flow_offload":
		j.change(sure)
	case "tproxy": // goes on where it finds a socket
		j.change(min(sure, Maybe))
		j.unsure(name)
		return Maybe, true
	case "counter", "log", "last":
	case "limit", "quota", "connlimit", "dynset", "objref", "numgen", "fib", "rt", "socket", "osf", "exthdr", "hash", "xfrm", "tunnel", "inner":
		return j.opaque(name, f), true
	default:
		j.unsure(name)
		return Maybe, false
	}
	return Yes, true
}

// opaque is an expression of which it is not known whether it matches. Those that load something leave their register without a value, and
// most of these do not match where there is nothing to load.
func (j *judge) opaque(name string, f attributes) Certainty {
	const limits = "a limit of rates or numbers"
	switch name {
	case "limit", "quota", "connlimit":
		j.unsure(limits)
		return Maybe
	case "dynset":
		j.unsure("the elements of set " + f.text(unix.NFTA_DYNSET_SET_NAME))
		return Maybe
	case "objref":
		return j.object(f, limits)
	}
	destination := uint16(1)
	switch name {
	case "socket", "tunnel", "hash":
		destination = 2
	case "inner": // an expression within it says which register
		j.regs.forget(name)
	}
	if name != "inner" {
		j.regs.load(f.number(destination), nil, nil, largeRegister, name)
	}
	if name == "numgen" || name == "hash" || name == "fib" {
		return Yes
	}
	j.unsure(name)
	return Maybe
}

// object is a counter, limit … that has a name.
func (j *judge) object(f attributes, limits string) Certainty {
	switch kind := f.number(unix.NFTA_OBJREF_IMM_TYPE); {
	case f[unix.NFTA_OBJREF_SET_SREG] != nil:
		j.unsure("the elements of set " + f.text(unix.NFTA_OBJREF_SET_NAME))
	case kind == unix.NFT_OBJECT_SYNPROXY:
		return No
	case kind == unix.NFT_OBJECT_LIMIT, kind == unix.NFT_OBJECT_QUOTA, kind == unix.NFT_OBJECT_CONNLIMIT:
		j.unsure(limits)
	case kind == 0, kind > unix.NFT_OBJECT_SYNPROXY:
		j.unsure("objref")
	default:
		return Yes
	}
	return Maybe
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

// elementsARule is how many elements of a set are looked at in the time of a rule.
const elementsARule = 256

// lookup looks into a set or a map. A map of verdicts may decide: then out is not nil.
func (j *judge) lookup(in chainName, f attributes, m Certainty) (sure Certainty, out []verdict) {
	s := j.sets.get(setName{in.family, in.table, f.text(unix.NFTA_LOOKUP_SET)})
	elements := "the elements of set " + f.text(unix.NFTA_LOOKUP_SET)
	j.budget -= len(s.ranges) / elementsARule
	length := s.keyLength()
	value, known, from, ok := j.regs.read(f.number(unix.NFTA_LOOKUP_SREG), length)
	if s.err != nil || !ok {
		return j.unread(elements, m, f)
	}
	value, known = slices.Clone(value), slices.Clone(known) // what is found may be loaded into the register that has the key
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
		j.unsure(cmp.Or(from, elements))
	}
	if f.number(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0 {
		found = found.not()
	}
	// Of several verdicts that it may be, each may be.
	return min(m, found), out
}

// unread is a lookup where it is not known what there is to be found: a map of verdicts may then decide anything.
func (j *judge) unread(elements string, m Certainty, f attributes) (sure Certainty, out []verdict) {
	j.unsure(elements)
	switch to, isMap := f[unix.NFTA_LOOKUP_DREG]; {
	case !isMap:
	case (attr{value: to}).number() == 0:
		return min(m, Maybe), []verdict{{code: codeAny, sure: min(m, Maybe)}}
	default:
		j.regs.forget(elements)
	}
	return min(m, Maybe), nil
}

func (s *set) keyLength() int {
	if s.length > 0 || len(s.ranges) == 0 {
		return s.length
	}
	return len(s.ranges[0].from)
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
		j.regs.load(f.number(unix.NFTA_BYTEORDER_DREG), nil, nil, length, "byteorder")
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
