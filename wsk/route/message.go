// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"encoding/binary"

	"github.com/wsk-xdp/wsk-xdp/wsk/route/internal/rtattr"
)

// message builds the body of a request.
type message []byte

func (m message) u8(v ...uint8) message { return append(m, v...) }
func (m message) u16(v uint16) message  { return binary.NativeEndian.AppendUint16(m, v) }
func (m message) u32(v uint32) message  { return binary.NativeEndian.AppendUint32(m, v) }
func (m message) align() message        { return append(m, make([]byte, -len(m)&3)...) }
func (m message) attr(t uint16, v []byte) message {
	return append(m.u16(uint16(rtattr.Header+len(v))).u16(t), v...).align()
}

// attrBE16 adds a number in network byte order.
func (m message) attrBE16(t, v uint16) message {
	return m.attr(t, binary.BigEndian.AppendUint16(nil, v))
}

func (m message) attr32(t uint16, v uint32) message {
	return m.attr(t, binary.NativeEndian.AppendUint32(nil, v))
}
