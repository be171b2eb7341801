// SPDX-License-Identifier: Apache-2.0

package wsk

// MDL describes one piece of memory, and with its Next a chain of pieces. In C it is the range of ByteCount bytes that
// begins at StartVa + ByteOffset; here the slice is that range, and pages do not matter.
//
// While an operation is pending the memory, the MDLs and their links belong to the provider: a client does not write to
// them before the IRP has completed. The garbage collector needs no help: a pending IRP keeps its chain alive.
type MDL struct {
	Next *MDL
	data []byte
}

// AllocateMDL is IoAllocateMdl for the bytes of b, which it does not copy.
func AllocateMDL(b []byte) *MDL { return &MDL{data: b} }

// Init is MmInitializeMdl: it makes an MDL in memory of the client's own describe b. Next is left alone.
func (m *MDL) Init(b []byte) { m.data = b }

// BuildPartial is IoBuildPartialMdl: m then describes length bytes of source from offset on, or with length 0 all the
// rest. It reports false, and changes nothing, when source does not have them.
func (m *MDL) BuildPartial(source *MDL, offset, length uint32) bool {
	rest := uint64(len(source.data)) - uint64(offset)
	if uint64(offset) > uint64(len(source.data)) || uint64(length) > rest {
		return false
	}
	if length == 0 {
		length = uint32(rest)
	}
	end := int(offset) + int(length)
	m.data = source.data[offset:end:end]
	return true
}

// ByteCount is MmGetMdlByteCount: the length of this piece in bytes.
func (m *MDL) ByteCount() int { return len(m.data) }

// Bytes is MmGetSystemAddressForMdlSafe: the memory itself, not a copy.
func (m *MDL) Bytes() []byte { return m.data }
