// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// writer writes files byte by byte, in either order.
type writer struct {
	bytes.Buffer
	order binary.AppendByteOrder
}

// put appends numbers by their sizes, and bytes.
func (w *writer) put(values ...any) *writer {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint8:
			b = append(b, v)
		case uint16:
			b = w.order.AppendUint16(b, v)
		case uint32:
			b = w.order.AppendUint32(b, v)
		case uint64:
			b = w.order.AppendUint64(b, v)
		case []byte:
			b = append(b, v...)
		}
	}
	w.Write(b)
	return w
}

// old begins a pcap file.
func old(order binary.AppendByteOrder, magic, link uint32) *writer {
	w := &writer{order: order}
	return w.put(magic, uint16(2), uint16(4), uint32(0), uint32(0), uint32(65535), link)
}

// packet appends a record of a pcap file.
func (w *writer) packet(seconds, fraction uint32, data []byte, wire int) *writer {
	return w.put(seconds, fraction, uint32(len(data)), uint32(wire), data)
}

// section begins a section of a pcapng file.
func (w *writer) section() *writer {
	return w.block(magicSection, uint32(byteOrderMagic), uint16(1), uint16(0), ^uint64(0))
}

// block appends a block with its lengths and padding.
func (w *writer) block(kind uint32, values ...any) *writer {
	body := (&writer{order: w.order}).put(values...)
	for body.Len()%4 != 0 {
		body.WriteByte(0)
	}
	length := uint32(body.Len() + 12)
	return w.put(kind, length, body.Bytes(), length)
}

// option is one of a block, with its padding.
func (w *writer) option(code uint16, value []byte) []byte {
	o := (&writer{order: w.order}).put(code, uint16(len(value)), value)
	for o.Len()%4 != 0 {
		o.WriteByte(0)
	}
	return o.Bytes()
}

// enhanced appends a packet of a pcapng file.
func (w *writer) enhanced(number uint32, at uint64, data []byte, wire int) *writer {
	body := (&writer{order: w.order}).put(number, uint32(at>>32), uint32(at), uint32(len(data)), uint32(wire), data)
	for body.Len()%4 != 0 {
		body.WriteByte(0)
	}
	return w.block(blockEnhanced, body.Bytes(), w.option(1, []byte("a comment")), uint32(0))
}
