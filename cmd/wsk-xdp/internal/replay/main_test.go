// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// frameOf is frame n of a test, of so many bytes: its number is in its MACs, so that none is like another.
func frameOf(n, size int) []byte {
	b := bytes.Repeat([]byte{byte(n)}, size)
	copy(b, []byte{2, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 2, 1})
	binary.BigEndian.PutUint16(b[12:], 0x0800)
	return b
}

// entry is a record of a file that is written; a size above its data is that on the wire.
type entry struct {
	at   time.Duration
	data []byte
	wire int
}

// file writes entries with nanoseconds.
func file(t testing.TB, link layers.LinkType, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(65535, link); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(1_700_000_000, 0).Add(e.at), CaptureLength: len(e.data), Length: max(e.wire, len(e.data))}
		if err := w.WritePacket(info, e.data); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// regular are so many frames of many sizes, at equal distances.
func regular(n int, gap time.Duration) (out []entry) {
	for i := range n {
		out = append(out, entry{at: time.Duration(i) * gap, data: frameOf(i, 14+i*37%1500)})
	}
	return out
}
