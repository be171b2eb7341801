// SPDX-License-Identifier: Apache-2.0

package wsk

// Buf is WSK_BUF: Length bytes of an MDL chain, beginning at Offset. Offset counts from the beginning of the first MDL
// and must lie in it; the data continue through Next without a gap; Length may be shorter than the chain. An empty
// datagram has Length 0; its Mdl may be nil, and Offset is not looked at.
//
// The struct itself is read during the call only; the chain belongs to the provider until the IRP completes.
type Buf struct {
	Mdl    *MDL
	Offset uint32
	Length uintptr
}

// BufList is WSK_BUF_LIST: a singly linked list of buffers, each one datagram. The nodes are read during the call
// only.
type BufList struct {
	Next   *BufList
	Buffer Buf
}

// isWhole is valid for a buffer that lies in its first MDL, as nearly every one does.
func (b *Buf) isWhole() bool {
	if b.Mdl == nil {
		return false
	}
	offset, first := uintptr(b.Offset), uintptr(len(b.Mdl.data))
	return offset <= first && b.Length <= first-offset
}

// valid checks the chain by the rules of the WSK_BUF page. On Windows a Length beyond the chain reads foreign memory;
// here it is refused.
func (b *Buf) valid() bool {
	if b.Length == 0 {
		return true
	}
	if b.Mdl == nil {
		return false
	}
	first := uintptr(len(b.Mdl.data))
	offset := uintptr(b.Offset)
	if offset > first {
		return false
	}
	if b.Length <= first-offset {
		return true
	}
	return chainHas(b.Mdl, b.Length-(first-offset))
}

// chainHas reports whether the MDLs after m have at least length bytes. A chain that turns back on itself is refused,
// since a cycle of empty MDLs would never end (Brent's algorithm: the mark is moved ahead at powers of two).
func chainHas(m *MDL, length uintptr) bool {
	mark := m
	for n := 1; ; n++ {
		m = m.Next
		if m == nil || m == mark {
			return false
		}
		if length <= uintptr(len(m.data)) {
			return true
		}
		length -= uintptr(len(m.data))
		if n&(n-1) == 0 {
			mark = m
		}
	}
}

// Piece returns the n payload bytes that begin at offset if the first MDL has all of them, as it does for nearly every
// datagram. Otherwise it returns nil, and for n 0 too. It is for transports, which use a [Cursor] where it returns nil.
func (b *Buf) Piece(offset, n int) []byte {
	if b.Mdl == nil {
		return nil
	}
	data, at := b.Mdl.data, int(b.Offset)+offset
	if n == 0 || at+n > len(data) {
		return nil
	}
	return data[at : at+n]
}

// Cursor walks over the payload of a [Buf], one contiguous piece of an MDL at a time, and allocates nothing. It is for
// transports. The zero Cursor is at the end.
type Cursor struct {
	piece []byte // rest of the present MDL, never more than the payload's rest
	next  *MDL
	left  int // payload bytes behind piece
}

// Cursor begins at payload byte offset. The caller sees to it that offset is between 0 and Length.
func (b *Buf) Cursor(offset int) Cursor {
	if b.Mdl == nil || uintptr(offset) >= b.Length {
		return Cursor{}
	}
	left := int(b.Length) - offset
	skip := int(b.Offset) + offset
	m := b.Mdl
	for skip >= len(m.data) {
		skip -= len(m.data)
		if m = m.Next; m == nil {
			return Cursor{}
		}
	}
	piece := m.data[skip:]
	if len(piece) >= left {
		return Cursor{piece: piece[:left]}
	}
	return Cursor{piece: piece, next: m.Next, left: left - len(piece)}
}

// Next returns the next contiguous bytes, at least one and at most limit, or nil at the end. If the chain was cut short
// meanwhile, against the contract, the end comes early.
func (c *Cursor) Next(limit int) []byte {
	p := c.piece
	if len(p) > limit {
		c.piece = p[limit:]
		return p[:limit]
	}
	if c.left == 0 {
		c.piece = nil
		return p
	}
	c.advance()
	return p
}

// advance goes to the next MDL that is not empty.
func (c *Cursor) advance() {
	c.piece = nil
	for m := c.next; m != nil; m = m.Next {
		if len(m.data) == 0 {
			continue
		}
		c.piece, c.next = m.data, m.Next
		if len(c.piece) >= c.left {
			c.piece, c.next = c.piece[:c.left], nil
		}
		c.left -= len(c.piece)
		return
	}
	c.left, c.next = 0, nil
}
