// SPDX-License-Identifier: Apache-2.0

package receive

import "github.com/wsk-xdp/wsk-xdp/frame"

// assembly is a frame that comes in several chunks. What they hold is copied, so that each goes back to the kernel at once and a
// frame that never ends holds none.
type assembly struct {
	begun bool
	flaw  flaw
	buf   *Buffer // nil before the first bytes
	n     int     // of them
}

// flaw is why a frame of several chunks is not looked at.
type flaw uint8

const (
	noFlaw      flaw = iota
	flawForeign      // one of its descriptors named no chunk of the kernel's, or there was more of it than of any frame
	flawNoRoom       // clients keep so much memory that there is none for it
	flawSpliced      // it may be the beginning of a frame with another behind it
)

// LongestFrame is the longest frame that is put together.
const LongestFrame = 65536

// add appends what a chunk holds, nil if a descriptor named none.
func (a *assembly) add(from *Buffers, piece []byte) {
	first := !a.begun
	a.begun = true
	need := a.n + len(piece)
	switch {
	case a.flaw != noFlaw:
		return
	case piece == nil || need > LongestFrame:
		a.flaw = flawForeign
		return
	case first && from.Full():
		a.flaw = flawNoRoom
		return
	case a.buf == nil:
		a.buf = from.Get(max(need, FrameBuffer+1))
	case need > len(a.buf.Bytes):
		larger := from.Get(need)
		copy(larger.Bytes, a.buf.Bytes[:a.n])
		a.buf.putBack()
		a.buf = larger
	}
	a.n += copy(a.buf.Bytes[a.n:], piece)
}

// end hands the frame over, whose buffer is nil if it has a flaw, and is ready for the next.
func (a *assembly) end() (buf *Buffer, n int, why flaw) {
	buf, n, why = a.buf, a.n, a.flaw
	*a = assembly{}
	if why == noFlaw && spliced(buf.Bytes[:n]) {
		why = flawSpliced
	}
	if why != noFlaw && buf != nil {
		buf.putBack()
		buf = nil
	}
	return buf, n, why
}

// spliced reports whether there is more of a frame than its IP header says, and no checksum that would tell. Nobody pads a frame that
// long. In zero-copy a full ring may cut a frame short (net/xdp/xsk.c, xsk_rcv_zc), and the next is then taken for the rest of it.
func spliced(bytes []byte) bool {
	p, reason := frame.Parse(bytes)
	return reason == frame.ReasonOK && p.PayloadOffset+p.PayloadLen < len(bytes) && bytes[p.UDPOffset+6]|bytes[p.UDPOffset+7] == 0
}
