// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import (
	"fmt"
	"math/bits"
)

// UMEM is the memory that frames live in, cut into chunks of one size. Addresses are offsets in bytes from its start.
// Chunks with an index below TxChunks are for sending, the others for receiving (I1: the two never mix).
//
// Its methods may be called from any goroutine. The bytes they return are the UMEM itself, without a copy, and only the
// owner of the chunk may touch them. After Close of the socket no address is valid any more, and bytes obtained before
// must not be touched: they are unmapped.
type UMEM struct {
	mem      []byte
	shift    uint   // log2 of the chunk size
	mask     uint64 // chunk size − 1
	headroom uint64
	chunks   uint64
	txChunks uint64
}

// NewUMEM divides plain memory into chunks. chunkSize is a power of two; the memory must have at least the bytes of
// all chunks; headroom is smaller than a chunk. It is how tests and the fake kernel make one: [Open] maps its own.
func NewUMEM(mem []byte, chunkSize, txChunks, rxChunks, headroom uint32) (*UMEM, error) {
	if chunkSize == 0 || chunkSize&(chunkSize-1) != 0 {
		return nil, fmt.Errorf("chunk size %d: want a power of two", chunkSize)
	}
	if headroom >= chunkSize {
		return nil, fmt.Errorf("headroom %d: want less than the chunk size %d", headroom, chunkSize)
	}
	chunks := uint64(txChunks) + uint64(rxChunks)
	if need := chunks * uint64(chunkSize); chunks == 0 || need > uint64(len(mem)) {
		return nil, fmt.Errorf("%d chunks of %d bytes do not fit %d bytes of memory", chunks, chunkSize, len(mem))
	}
	return &UMEM{
		mem:      mem[: chunks*uint64(chunkSize) : chunks*uint64(chunkSize)],
		shift:    uint(bits.TrailingZeros32(chunkSize)),
		mask:     uint64(chunkSize) - 1,
		headroom: uint64(headroom),
		chunks:   chunks,
		txChunks: uint64(txChunks),
	}, nil
}

// ChunkSize is the size of a chunk in bytes.
func (u *UMEM) ChunkSize() int { return int(u.mask + 1) }

// Headroom is the bytes in front of each TX frame that [UMEM.Addr] leaves free: Options.Headroom, and behind it
// TxMetadataLen for the metadata directly in front of the frame where Granted.Offload is not OffloadNone.
func (u *UMEM) Headroom() int { return int(u.headroom) }

// FrameSize is the longest frame that starts at an [UMEM.Addr].
func (u *UMEM) FrameSize() int { return int(u.mask + 1 - u.headroom) }

// TxChunks is the number of chunks for sending, the indexes from 0.
func (u *UMEM) TxChunks() int { return int(u.txChunks) }

// RxChunks is the number of chunks for receiving, the indexes from TxChunks.
func (u *UMEM) RxChunks() int { return int(u.chunks - u.txChunks) }

// Addr is where a frame starts in the chunk with the given index: behind the headroom. An index outside the UMEM
// panics.
func (u *UMEM) Addr(index int) uint64 {
	if uint64(index) >= u.chunks {
		panic(fmt.Sprintf("xdp: chunk %d of %d", index, u.chunks))
	}
	return uint64(index)<<u.shift + u.headroom
}

// Index is the chunk that an address lies in, wherever in the chunk that is.
func (u *UMEM) Index(addr uint64) (index int, ok bool) {
	i := addr >> u.shift
	return int(i), i < u.chunks
}

// Check is the inverse of Addr: the index of the chunk whose frame starts at exactly this address, and whether there
// is one.
func (u *UMEM) Check(addr uint64) (index int, ok bool) {
	i := addr >> u.shift
	return int(i), i < u.chunks && addr&u.mask == u.headroom
}

// CheckTx is Check for the chunks for sending only. For a caller whose frames all start at Addr it tells which
// addresses from the completion ring are foreign.
func (u *UMEM) CheckTx(addr uint64) (index int, ok bool) {
	i := addr >> u.shift
	return int(i), i < u.txChunks && addr&u.mask == u.headroom
}

// Chunk is the memory from an address to the end of its chunk, or nil when the address is outside the UMEM.
func (u *UMEM) Chunk(addr uint64) []byte {
	i := addr >> u.shift
	if i >= u.chunks {
		return nil
	}
	end := (i + 1) << u.shift
	return u.mem[addr:end:end]
}

// Frame is the bytes that a descriptor names, or nil when they do not lie inside one chunk.
func (u *UMEM) Frame(d Desc) []byte {
	b := u.Chunk(d.Addr)
	if uint64(d.Len) > uint64(len(b)) {
		return nil
	}
	return b[:d.Len:d.Len]
}

// kill forgets the memory: every address is outside from now on.
func (u *UMEM) kill() { u.mem, u.chunks, u.txChunks = nil, 0, 0 }
