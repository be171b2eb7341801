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
	ranges    []setRange
	otherwise *element // what all others have (the element *)
}

// setRange is an element, or the elements between two, both of which are among them.
type setRange struct {
	from, to []byte // to is nil where it is one, and where there is no end
	open     bool   // there is no end
	// concatenated keys with ranges: each field has a range of its own, and what is between from and to is not all among them
	fields bool
	element
}

// element is what an element of a map stands for.
type element struct {
	value []byte
	verdict
}

const (
	elementKeyEnd   = 10 // NFTA_SET_ELEM_KEY_END
	elementCatchAll = 2  // NFT_SET_ELEM_CATCHALL
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
	var starts, ends []setRange
	s.err = name.ask(unix.NFT_MSG_GETSETELEM, unix.NFTA_SET_ELEM_LIST_TABLE, unix.NFTA_SET_ELEM_LIST_SET, func(a attr) {
		if a.typ != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		each(a.value, func(a attr) {
			x, flags := parseElement(a.value)
			switch {
			case flags&elementCatchAll != 0:
				s.otherwise = &x.element
			case flags&unix.NFT_SET_ELEM_INTERVAL_END != 0:
				ends = append(ends, x)
			default:
				starts = append(starts, x)
			}
		})
	})
	s.ranges = starts
	if s.err != nil {
		return s
	}
	s.err = name.ask(unix.NFT_MSG_GETSET, unix.NFTA_SET_TABLE, unix.NFTA_SET_NAME, func(a attr) {
		if a.typ == unix.NFTA_SET_FLAGS {
			s.interval = a.number()&unix.NFT_SET_INTERVAL != 0
		}
	})
	if s.interval {
		s.close(ends)
	}
	return s
}

// close gives each range its end, which the kernel lists as an element of its own: the first one that is not in it any more.
func (s *set) close(ends []setRange) {
	byKey := func(a, b setRange) int { return bytes.Compare(a.from, b.from) }
	slices.SortFunc(ends, byKey)
	for i := range s.ranges {
		x := &s.ranges[i]
		if x.fields {
			continue
		}
		at, same := slices.BinarySearchFunc(ends, *x, byKey)
		if same {
			at++ // the end of the range in front
		}
		if at == len(ends) {
			x.open = true
			continue
		}
		x.to = before(ends[at].from)
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
		case unix.NFTA_SET_ELEM_DATA:
			x.value = slices.Clone(dataValue(a.value))
			x.verdict = parseVerdict(a.value)
		}
	})
	return x, flags
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

// has visits the elements that a key can be, each with how sure it is that it is that one, and answers whether one is.
func (s *set) has(value, known []byte, visit func(element, Certainty)) Certainty {
	in := No
	for _, x := range s.ranges {
		if len(x.from) != len(value) {
			continue
		}
		sure := No
		switch {
		case x.fields && len(x.to) != len(x.from):
			sure = Maybe
		case x.fields:
			if sure = equals(value, known, x.from); sure != Yes || !bytes.Equal(x.from, x.to) {
				sure = inFields(value, known, x.from, x.to)
			}
		case x.open:
			sure = within(value, known, x.from, nil)
		case s.interval:
			sure = within(value, known, x.from, x.to)
		default:
			sure = equals(value, known, x.from)
		}
		if sure == No {
			continue
		}
		visit(x.element, sure)
		in = max(in, sure)
	}
	if s.otherwise != nil && in != Yes {
		visit(*s.otherwise, in.not())
		in = max(in, in.not())
	}
	return in
}

// inFields is whether a concatenated key is within the ranges of its fields, the lengths of which are not looked up: each has four bytes, or
// several of four that may be one. Where it takes more to know, it is not known.
func inFields(value, known, from, to []byte) Certainty {
	sure := Yes
	for i := 0; i+smallRegister <= len(value); i += smallRegister {
		end := i + smallRegister
		switch within(value[i:end], known[i:end], from[i:end], to[i:end]) {
		case No:
			if bytes.Equal(from[i:end], to[i:end]) {
				return No
			}
			sure = min(sure, Maybe) // may be the lower part of a longer field
		case Maybe:
			sure = min(sure, Maybe)
		}
	}
	return sure
}
