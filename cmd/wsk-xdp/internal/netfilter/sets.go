// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

type setName struct {
	family      uint8
	table, name string
}

// set is a set or map of nftables, as far as it is known.
type set struct {
	err       error
	interval  bool
	length    int   // of its keys
	fields    []int // the lengths of what they are made of, if it is more than one thing
	ranges    []setRange
	otherwise *element // what all others have (the element *)
	// othersLimited is limits of that
	othersLimited bool
}

// setRange is an element, or the elements between two, both of which are among them.
type setRange struct {
	from, to []byte // to is nil where it is one, and where there is no end
	open     bool   // there is no end
	// concatenated keys with ranges: each field has a range of its own, and what is between from and to is not all among them
	fields bool
	limits bool // something besides the key says whether it is found
	element
}

// element is what an element of a map stands for.
type element struct {
	value []byte
	verdict
}

const (
	elementKeyEnd      = 10 // NFTA_SET_ELEM_KEY_END
	elementExpression  = 7  // NFTA_SET_ELEM_EXPR
	elementExpressions = 11 // NFTA_SET_ELEM_EXPRESSIONS
	elementCatchAll    = 2  // NFT_SET_ELEM_CATCHALL
	setConcat          = 2  // NFTA_SET_DESC_CONCAT
	setFieldLength     = 1  // NFTA_SET_FIELD_LEN
)

// sets are those that were asked for.
type sets map[setName]*set

// get reads the elements of a set, once.
func (all sets) get(name setName) *set {
	if s := all[name]; s != nil {
		return s
	}
	s := readSet(name)
	all[name] = s
	return s
}

func readSet(name setName) *set {
	s := &set{}
	for range dumpTries {
		var ends []setRange
		s = &set{}
		s.err = name.ask(unix.NFT_MSG_GETSETELEM, unix.NFTA_SET_ELEM_LIST_TABLE, unix.NFTA_SET_ELEM_LIST_SET, func(a attr) { s.addElements(a, &ends) })
		if s.err == nil {
			s.err = name.ask(unix.NFT_MSG_GETSET, unix.NFTA_SET_TABLE, unix.NFTA_SET_NAME, s.describe)
		}
		if s.err == nil {
			s.close(ends)
		}
		if !interrupted(s.err) {
			break
		}
	}
	return s
}

// addElements takes elements; where ranges end is put aside.
func (s *set) addElements(a attr, ends *[]setRange) {
	if a.typ != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
		return
	}
	each(a.value, func(a attr) {
		x, flags := parseElement(a.value)
		switch {
		case flags&elementCatchAll != 0:
			s.otherwise, s.othersLimited = &x.element, x.limits
		case flags&unix.NFT_SET_ELEM_INTERVAL_END != 0:
			*ends = append(*ends, x)
		default:
			s.ranges = append(s.ranges, x)
		}
	})
}

// describe takes what the kernel says of the set itself.
func (s *set) describe(a attr) {
	switch a.typ {
	case unix.NFTA_SET_FLAGS:
		s.interval = a.number()&unix.NFT_SET_INTERVAL != 0
	case unix.NFTA_SET_KEY_LEN:
		s.length = int(a.number())
	case unix.NFTA_SET_DESC:
		each(a.value, func(a attr) {
			if a.typ != setConcat {
				return
			}
			each(a.value, func(a attr) { s.fields = append(s.fields, int(fields(a.value).number(setFieldLength))) })
		})
	}
}

// close gives each range its end, which the kernel lists as an element of its own: the first one that is not in it any more.
func (s *set) close(ends []setRange) {
	if !s.interval {
		return
	}
	byKey := func(a, b setRange) int { return bytes.Compare(a.from, b.from) }
	slices.SortFunc(ends, byKey)
	for i := range s.ranges {
		x := &s.ranges[i]
		switch at, same := slices.BinarySearchFunc(ends, *x, byKey); {
		case x.fields:
		case len(s.fields) > 0: // ends of concatenations are with their beginnings
			x.to, x.fields = x.from, true
		case same && at+1 < len(ends): // the first is the end of the range in front
			x.to = before(ends[at+1].from)
		case same || at == len(ends):
			x.open = true
		default:
			x.to = before(ends[at].from)
		}
	}
}

// before is the number below one.
func before(n []byte) []byte {
	b := bytes.Clone(n)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]--
		if b[i] != 0xff {
			break
		}
	}
	return b
}

func parseElement(b []byte) (x setRange, flags uint32) {
	each(b, func(a attr) {
		switch a.typ {
		case unix.NFTA_SET_ELEM_KEY:
			x.from = slices.Clone(dataValue(a.value))
		case elementKeyEnd:
			x.to, x.fields = slices.Clone(dataValue(a.value)), true
		case unix.NFTA_SET_ELEM_FLAGS:
			flags = a.number()
		case elementExpression:
			x.limits = x.limits || limits(a.value)
		case elementExpressions:
			each(a.value, func(a attr) { x.limits = x.limits || limits(a.value) })
		case unix.NFTA_SET_ELEM_DATA:
			x.value = slices.Clone(dataValue(a.value))
			x.verdict = parseVerdict(a.value)
		}
	})
	return x, flags
}

// limits is whether an expression of an element does more than count.
func limits(b []byte) bool {
	name := parseExpression(b).name
	return name != "counter" && name != "last"
}

// dataValue is the value in an attribute of data.
func dataValue(b []byte) (value []byte) {
	each(b, func(a attr) {
		if a.typ == unix.NFTA_DATA_VALUE {
			value = a.value
		}
	})
	return value
}

// parseVerdict is the verdict in an attribute of data.
func parseVerdict(b []byte) verdict {
	v := verdict{code: codeNone}
	each(b, func(a attr) {
		if a.typ != dataVerdict {
			return
		}
		each(a.value, func(a attr) {
			switch a.typ {
			case verdictCode:
				v.code = int32(a.number())
			case verdictChain:
				v.chain = a.text()
			}
		})
	})
	return v
}

// ask asks for a set by its name and visits the attributes of each answer.
func (name setName) ask(message int, table, set uint16, visit func(attr)) error {
	flags := 0
	if message == unix.NFT_MSG_GETSETELEM {
		flags = unix.NLM_F_DUMP
	}
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, flags)
	header := []byte{name.family, 0, 0, 0}
	header = append(header, attribute(table, name.table)...)
	header = append(header, attribute(set, name.name)...)
	req.AddRawData(header)
	return req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(b []byte) bool {
		if len(b) >= nfgenmsgLen {
			each(b[nfgenmsgLen:], visit)
		}
		return true
	})
}

func attribute(typ uint16, text string) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(text)+1))
	b = append(binary.NativeEndian.AppendUint16(b, typ), text...)
	b = append(b, 0)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// verdicts visits those that a map has.
func (s *set) verdicts(visit func(verdict)) {
	for _, x := range s.ranges {
		visit(x.verdict)
	}
	if s.otherwise != nil {
		visit(s.otherwise.verdict)
	}
}

// has visits the elements that a key can be, each with how sure it is that it is that one, and answers whether one is.
func (s *set) has(value, known []byte, visit func(element, Certainty)) Certainty {
	in := No
	for _, x := range s.ranges {
		if len(x.from) != len(value) {
			in = max(in, Maybe) // which can't be
			continue
		}
		sure := No
		switch {
		case x.fields && len(x.to) != len(x.from):
			sure = Maybe
		case x.fields:
			sure = s.inFields(value, known, x.from, x.to)
		case x.open:
			sure = within(value, known, x.from, nil)
		case s.interval:
			sure = within(value, known, x.from, x.to)
		default:
			sure = equals(value, known, x.from)
		}
		if x.limits {
			sure = min(sure, Maybe)
		}
		if sure == No {
			continue
		}
		visit(x.element, sure)
		in = max(in, sure)
	}
	if s.otherwise != nil && in != Yes {
		sure := in.not()
		if s.othersLimited {
			sure = Maybe
		}
		visit(*s.otherwise, sure)
		in = max(in, sure)
	}
	return in
}

// inFields is whether each field of a concatenated key is within its range. Fields take words of four bytes; where it is not known which,
// only what is equal to both ends is among them for sure.
func (s *set) inFields(value, known, from, to []byte) Certainty {
	sure, at := Yes, 0
	for _, length := range s.fields {
		end := at + (length+smallRegister-1)&^(smallRegister-1)
		if length <= 0 || end > len(value) {
			break
		}
		sure, at = min(sure, within(value[at:end], known[at:end], from[at:end], to[at:end])), end
	}
	if at == len(value) {
		return sure
	}
	if bytes.Equal(from, to) {
		return equals(value, known, from)
	}
	return Maybe
}
