// SPDX-License-Identifier: Apache-2.0

package send

import "github.com/wsk-xdp/wsk-xdp/xdp"

// proven is what is known of how the kernel takes the descriptors of a socket. A kick that ends at an invalid descriptor looks like
// one that sent everything when that descriptor is the last one, and its completion like that of a datagram sent. The kernel counts
// it, but to ask for that count would be a system call for each kick. So only what is not proven is asked about: a descriptor
// that the kernel's rules do not allow, and the first of each kind.
type proven struct {
	invalid uint64 // the kernel's count when last looked at
	options uint32 // of those that have been taken
	// What the kernel takes, once it has taken one; nothing before.
	end   uint64 // of the memory
	chunk uint64 // length of a chunk, a power of two
}

// covers reports whether a descriptor is valid by the kernel's rules (net/xdp/xsk_queue.h, xskq_cons_is_valid_desc) and of a kind that it
// has taken.
func (p *proven) covers(d xdp.Desc) bool {
	return d.Addr < p.end && d.Options&^p.options == 0 && d.Len != 0 && d.Addr&(p.chunk-1)+uint64(d.Len) <= p.chunk
}

// add notes that the kernel has taken a descriptor.
func (p *proven) add(d xdp.Desc, umem *xdp.UMEM) {
	p.options |= d.Options
	p.chunk = uint64(umem.ChunkSize())
	p.end = p.chunk * uint64(umem.TxChunks())
}
