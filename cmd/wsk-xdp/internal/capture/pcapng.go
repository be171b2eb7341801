// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"
)

// Blocks of pcapng files (draft-ietf-opsawg-pcapng).
const (
	blockInterface = 1
	blockPacket    = 2 // of old programs
	blockSimple    = 3
	blockEnhanced  = 6
)

// Options of an interface.
const (
	optionEnd        = 0
	optionResolution = 9
	optionFCS        = 13
	optionOffset     = 14
)

const (
	byteOrderMagic = 0x1a2b3c4d
	blockFrame     = 12 // type, length, and the length again
	maxInterfaces  = 4096
)

// magicSection is the type of the block that begins a section, the same in both orders.
const magicSection = 0x0a0d0d0a

// sections is a pcapng file, up to the present section.
type sections struct {
	order  binary.ByteOrder // nil before the first
	ifaces []iface
}

// iface is an interface of a section.
type iface struct {
	link      Link
	snap      uint32 // 0: no limit
	perSecond uint64 // what times count
	offset    uint64 // seconds to add, of two's complement
	fcs       int
}

// next reads blocks up to the next packet.
func (f *sections) next(in *source) (Record, error) {
	for {
		if err := in.more(); err != nil {
			return Record{}, err
		}
		rec, found, err := f.block(in)
		if err != nil || found {
			return rec, err
		}
	}
}

// block reads one.
func (f *sections) block(in *source) (rec Record, found bool, err error) {
	b, err := in.read(8)
	if err != nil {
		return rec, false, err
	}
	if binary.BigEndian.Uint32(b) == magicSection {
		return rec, false, f.section(in, [4]byte(b[4:]))
	}
	if f.order == nil {
		return rec, false, fmt.Errorf("%w: a block before the first section", errDamaged)
	}
	kind, length := f.order.Uint32(b), f.order.Uint32(b[4:])
	if length < blockFrame || length%4 != 0 {
		return rec, false, fmt.Errorf("%w: a block of %d bytes", errDamaged, length)
	}
	body := int(length - blockFrame)
	switch kind {
	case blockInterface:
		err = f.describe(in, body)
	case blockEnhanced, blockPacket:
		rec, err = f.packet(in, kind, body)
		found = true
	case blockSimple:
		rec, err = f.simple(in, body)
		found = true
	default:
		err = in.skip(body)
	}
	if err != nil {
		return rec, false, err
	}
	return rec, found, f.trailer(in, length)
}

// trailer reads the length at the end of a block. It does not touch the record that was read last.
func (f *sections) trailer(in *source, length uint32) error {
	b, err := in.in.Peek(4)
	if err != nil {
		return ends(err)
	}
	if again := f.order.Uint32(b); again != length {
		return fmt.Errorf("%w: a block of %d bytes says %d at its end", errDamaged, length, again)
	}
	return in.skip(4)
}

// section begins a section, which has a byte order and interfaces of its own.
func (f *sections) section(in *source, length [4]byte) error {
	b, err := in.read(16) // magic, version, length of the section
	if err != nil {
		return err
	}
	switch uint32(byteOrderMagic) {
	case binary.LittleEndian.Uint32(b):
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(b):
		f.order = binary.BigEndian
	default:
		return fmt.Errorf("%w: a section without a byte order", errDamaged)
	}
	if major := f.order.Uint16(b[4:]); major != 1 {
		return fmt.Errorf("is of pcapng version %d: only 1 is read", major)
	}
	f.ifaces = f.ifaces[:0]
	n := f.order.Uint32(length[:])
	if n < blockFrame+16 || n%4 != 0 {
		return fmt.Errorf("%w: a section header of %d bytes", errDamaged, n)
	}
	if err := in.skip(int(n - blockFrame - 16)); err != nil {
		return err
	}
	return f.trailer(in, n)
}

// describe takes an interface.
func (f *sections) describe(in *source, body int) error {
	if body < 8 || body > MaxRecord {
		return fmt.Errorf("%w: the description of an interface is %d bytes", errDamaged, body)
	}
	if len(f.ifaces) == maxInterfaces {
		return fmt.Errorf("has more than %d interfaces", maxInterfaces)
	}
	b, err := in.read(body)
	if err != nil {
		return err
	}
	i := iface{link: Link(f.order.Uint16(b)), snap: f.order.Uint32(b[4:]), perSecond: uint64(time.Second / time.Microsecond)}
	for b = b[8:]; len(b) >= 4; {
		code, n := f.order.Uint16(b), int(f.order.Uint16(b[2:]))
		padded := (n + 3) &^ 3
		if code == optionEnd {
			break
		}
		if len(b) < 4+padded {
			return fmt.Errorf("%w: an option of %d bytes is longer than its block", errDamaged, n)
		}
		value := b[4 : 4+n]
		b = b[4+padded:]
		switch {
		case code == optionResolution && n == 1:
			if i.perSecond, err = resolution(value[0]); err != nil {
				return err
			}
		case code == optionOffset && n == 8:
			i.offset = f.order.Uint64(value)
		case code == optionFCS && n == 1:
			i.fcs = int(value[0])
		}
	}
	f.ifaces = append(f.ifaces, i)
	return nil
}

// resolution is how many parts of a second a time counts.
func resolution(b uint8) (uint64, error) {
	n := int(b & 0x7f)
	switch {
	case b&0x80 != 0 && n < 64:
		return 1 << n, nil
	case b&0x80 == 0 && n <= 19:
		parts := uint64(1)
		for range n {
			parts *= 10
		}
		return parts, nil
	}
	return 0, fmt.Errorf("%w: times of a resolution of %#x", errDamaged, b)
}

// time turns a time of an interface into one since 1970.
func (i *iface) time(high, low uint32) time.Duration {
	count := uint64(high)<<32 | uint64(low)
	hi, lo := bits.Mul64(count%i.perSecond, uint64(time.Second))
	nanos, _ := bits.Div64(hi, lo, i.perSecond)
	return since1970(count/i.perSecond+i.offset, nanos)
}

// packet reads an enhanced packet, or one of the form before it.
func (f *sections) packet(in *source, kind uint32, body int) (Record, error) {
	const header = 20
	if body < header {
		return Record{}, fmt.Errorf("%w: a packet's block is of %d bytes", errDamaged, body)
	}
	b, err := in.read(header)
	if err != nil {
		return Record{}, err
	}
	number := f.order.Uint32(b)
	if kind == blockPacket {
		number = uint32(f.order.Uint16(b)) // the other half counts drops
	}
	high, low, captured, wire := f.order.Uint32(b[4:]), f.order.Uint32(b[8:]), f.order.Uint32(b[12:]), f.order.Uint32(b[16:])
	if uint64(number) >= uint64(len(f.ifaces)) {
		return Record{}, fmt.Errorf("%w: a packet of interface %d, of %d", errDamaged, number, len(f.ifaces))
	}
	i := &f.ifaces[number]
	rec, err := f.data(in, i, captured, wire, body-header)
	rec.At, rec.Timed = i.time(high, low), true
	return rec, err
}

// simple reads a packet without a time, of the first interface.
func (f *sections) simple(in *source, body int) (Record, error) {
	if body < 4 || len(f.ifaces) == 0 {
		return Record{}, fmt.Errorf("%w: a simple packet of %d bytes, %d interfaces", errDamaged, body, len(f.ifaces))
	}
	b, err := in.read(4)
	if err != nil {
		return Record{}, err
	}
	i, wire := &f.ifaces[0], f.order.Uint32(b)
	captured := wire
	if i.snap > 0 {
		captured = min(captured, i.snap)
	}
	return f.data(in, i, captured, wire, body-4)
}

// data reads the bytes of a packet, and passes over what stands behind them in a block with so much left.
func (f *sections) data(in *source, i *iface, captured, wire uint32, left int) (Record, error) {
	if err := checkLengths(captured, wire); err != nil {
		return Record{}, err
	}
	if int(captured) > left {
		return Record{}, fmt.Errorf("%w: a packet of %d bytes in %d", errDamaged, captured, left)
	}
	data, err := in.read(int(captured))
	if err != nil {
		return Record{}, err
	}
	return record(data, wire, i.fcs, i.link), in.skip(left - int(captured))
}
