// SPDX-License-Identifier: Apache-2.0

package wsk

// splitBuffer is a copy of a payload in the least convenient form that the contract of [Buf] allows: an offset into the
// first MDL, which ends after one byte, an empty MDL, odd sizes, and bytes behind the end that are not data.
type splitBuffer struct {
	bytes []byte
	mdls  [5]MDL
}

const (
	splitOffset   = 3
	splitTrailing = 5
	splitFiller   = 0xA5
)

// describe fills the buffer with the payload.
func (b *splitBuffer) describe(payload []byte) Buf {
	b.bytes = append(b.bytes[:0], splitFiller, splitFiller, splitFiller)
	b.bytes = append(b.bytes, payload...)
	for range splitTrailing {
		b.bytes = append(b.bytes, splitFiller)
	}
	rest := b.bytes
	for i, size := range [...]int{splitOffset + min(1, len(payload)), 0, 1, len(payload)/2 | 1} {
		size = min(size, len(rest))
		b.mdls[i] = MDL{Next: &b.mdls[i+1], data: rest[:size:size]}
		rest = rest[size:]
	}
	b.mdls[len(b.mdls)-1] = MDL{data: rest}
	return Buf{Mdl: &b.mdls[0], Offset: splitOffset, Length: uintptr(len(payload))}
}
