// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"bytes"
	"math"
)

// registers are those of the machine that runs rules in the kernel, bit by bit with what is known of them.
type registers struct {
	value, known [registerBytes]byte
	from         [registerBytes]string // what was loaded, for words
}

// Of linux/netfilter/nf_tables.h: four registers of 16 bytes (1 to 4), in front of which is the verdict, and which lie over sixteen of four
// bytes (8 to 23).
const (
	registerBytes = 5 * 16
	largeRegister = 16
	smallRegister = 4
	firstSmall    = 8
	verdictSize   = 16
)

// position is where a register begins; below 0: there is no such register.
func position(register uint32) int {
	switch {
	case register >= 1 && register <= 4:
		return int(register) * largeRegister
	case register >= firstSmall && register < firstSmall+16:
		return verdictSize + int(register-firstSmall)*smallRegister
	}
	return -1
}

// load fills a register with a value, of which the bits in known are known; nil is all or, without a value, none.
func (r *registers) load(register uint32, value, known []byte, length int, from string) {
	at := position(register)
	if at < 0 {
		return
	}
	length = min((length+smallRegister-1)&^(smallRegister-1), registerBytes-at)
	for i := range length {
		r.value[at+i], r.known[at+i], r.from[at+i] = 0, 0, from
		switch {
		case value == nil:
		case i >= len(value): // what is shorter than a register is filled up with zeros
			r.known[at+i] = math.MaxUint8
		case known == nil:
			r.value[at+i], r.known[at+i] = value[i], math.MaxUint8
		default:
			r.value[at+i], r.known[at+i] = value[i]&known[i], known[i]
		}
	}
}

// forget takes every register for one that holds something unknown.
func (r *registers) forget(from string) {
	for i := range r.known {
		r.known[i], r.from[i] = 0, from
	}
}

// read is what a register holds; ok is false where there are not so many bytes.
func (r *registers) read(register uint32, length int) (value, known []byte, from string, ok bool) {
	at := position(register)
	if at < 0 || length < 0 || at+length > registerBytes {
		return nil, nil, "", false
	}
	for i := range length {
		if r.known[at+i] != math.MaxUint8 && r.from[at+i] != "" {
			from = r.from[at+i]
			break
		}
	}
	return r.value[at : at+length], r.known[at : at+length], from, true
}

// equals compares what is partly known with what is known.
func equals(value, known, with []byte) Certainty {
	sure := Yes
	for i := range value {
		if i >= len(with) {
			return sure
		}
		if (value[i]^with[i])&known[i] != 0 {
			return No
		}
		if known[i] != math.MaxUint8 {
			sure = Maybe
		}
	}
	return sure
}

// extremes are the smallest and the largest that a value can be.
func extremes(value, known []byte) (least, most []byte) {
	least, most = bytes.Clone(value), bytes.Clone(value)
	for i := range value {
		least[i], most[i] = value[i]&known[i], value[i]|^known[i]
	}
	return least, most
}

// within is whether a value is in a range, both ends of which are in it. A nil end is none.
func within(value, known, from, to []byte) Certainty {
	least, most := extremes(value, known)
	switch {
	case from != nil && bytes.Compare(most, from) < 0, to != nil && bytes.Compare(least, to) > 0:
		return No
	case (from == nil || bytes.Compare(least, from) >= 0) && (to == nil || bytes.Compare(most, to) <= 0):
		return Yes
	}
	return Maybe
}
