// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sizeofDesc = uint64(unsafe.Sizeof(Desc{}))
	sizeofAddr = uint64(unsafe.Sizeof(uint64(0)))
)

// ringLen is the bytes of a ring's mapping, in 64 bits (I7).
func ringLen(off unix.XDPRingOffset, entries uint32, entrySize uint64) uint64 {
	return off.Desc + uint64(entries)*entrySize
}

// ringWords finds the shared words of a ring in its mapping.
func ringWords(m []byte, off unix.XDPRingOffset) (Words, error) {
	for _, o := range [...]uint64{off.Producer, off.Consumer, off.Flags} {
		if o%4 != 0 || o+4 < o || o+4 > uint64(len(m)) {
			return Words{}, fmt.Errorf("ring word at offset %d of a mapping of %d bytes", o, len(m))
		}
	}
	return Words{
		Producer: (*atomic.Uint32)(unsafe.Pointer(&m[off.Producer])),
		Consumer: (*atomic.Uint32)(unsafe.Pointer(&m[off.Consumer])),
		Flags:    (*atomic.Uint32)(unsafe.Pointer(&m[off.Flags])),
	}, nil
}

// ringEntries views the entries of a ring in its mapping as a slice.
func ringEntries[T Desc | uint64](m []byte, off unix.XDPRingOffset, entries uint32) ([]T, error) {
	var t T
	if off.Desc%8 != 0 || ringLen(off, entries, uint64(unsafe.Sizeof(t))) > uint64(len(m)) ||
		off.Desc >= uint64(len(m)) {
		return nil, fmt.Errorf("%d ring entries at offset %d of a mapping of %d bytes", entries, off.Desc, len(m))
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&m[off.Desc])), entries), nil
}

// mappedRing is ringWords and ringEntries in one step.
func mappedRing[T Desc | uint64](m []byte, off unix.XDPRingOffset, entries uint32) (Words, []T, error) {
	w, err := ringWords(m, off)
	if err != nil {
		return w, nil, err
	}
	e, err := ringEntries[T](m, off, entries)
	return w, e, err
}

// addressOf is the address of a mapping, for the kernel.
func addressOf(m []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m)))) }
