// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// all reads a file to its end.
func all(t *testing.T, file []byte) (out []Record, format string) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return out, r.Format()
		}
		if err != nil {
			t.Fatal(err)
		}
		rec.Data = slices.Clone(rec.Data)
		out = append(out, rec)
	}
}

// same fails unless records are what another reader has read.
func same(t *testing.T, got []Record, judge gopacket.PacketDataSource) {
	t.Helper()
	for i, rec := range got {
		data, info, err := judge.ReadPacketData()
		if err != nil {
			t.Fatalf("record %d is none to the judge: %v", i, err)
		}
		off := rec.At - time.Duration(info.Timestamp.UnixNano()) // the judge rounds what is in parts of a power of two
		if !bytes.Equal(data, rec.Data) || info.Length != rec.Length || rec.Timed && off.Abs() >= time.Microsecond {
			t.Errorf("record %d: %+v, the judge has %+v, %d bytes", i, rec, info, len(data))
		}
	}
	if _, _, err := judge.ReadPacketData(); err != io.EOF {
		t.Errorf("the judge finds more: %v", err)
	}
}

var orders = []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian}

// packets are of several lengths, one cut, one empty.
var packets = []struct {
	data []byte
	wire int
}{{[]byte("one packet"), 10}, {bytes.Repeat([]byte{7}, 1514), 1514}, {nil, 0}, {[]byte("cut off"), 99}, {bytes.Repeat([]byte{8}, 70_001), 70_001}}

// Every kind of pcap file is read as an independent reader reads it.
func TestOldFiles(t *testing.T) {
	for _, order := range orders {
		for _, magic := range []uint32{magicMicro, magicNano} {
			w := old(order, magic, 1)
			for i, p := range packets {
				w.packet(uint32(i)<<30, 999_999, p.data, p.wire)
			}
			got, format := all(t, w.Bytes())
			judge, err := pcapgo.NewReader(bytes.NewReader(w.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if same(t, got, judge); len(got) != len(packets) || format != "pcap" || got[0].Link != LinkEthernet || got[0].Cut() || !got[3].Cut() {
				t.Errorf("%v, %#x: %d records, %s", order, magic, len(got), format)
			}
		}
	}
}

// What pcapgo writes is read, too, in both formats.
func TestFilesOfAnotherWriter(t *testing.T) {
	var oldFile, newFile bytes.Buffer
	a := pcapgo.NewWriterNanos(&oldFile)
	if err := a.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	b, err := pcapgo.NewNgWriter(&newFile, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range packets[:4] {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(1e9, int64(i)), CaptureLength: len(p.data), Length: p.wire}
		if err := errors.Join(a.WritePacket(info, p.data), b.WritePacket(info, p.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, file := range [][]byte{oldFile.Bytes(), newFile.Bytes()} {
		got, format := all(t, file)
		for i, rec := range got {
			if p := packets[i]; !bytes.Equal(rec.Data, p.data) || rec.Length != p.wire || rec.At != 1e9*time.Second+time.Duration(i) || !rec.Timed {
				t.Errorf("%s, record %d: %+v", format, i, rec)
			}
		}
		if len(got) != 4 {
			t.Errorf("%s: %d records", format, len(got))
		}
	}
}

// pcapng files have blocks of many kinds, sections of either order, and interfaces of several resolutions.
func TestNewFiles(t *testing.T) {
	for _, order := range orders {
		w := &writer{order: order}
		w.section().block(4, []byte("names that nobody asked for"))
		w.block(blockInterface, uint16(1), uint16(0), uint32(0))
		w.block(blockInterface, uint16(1), uint16(0), uint32(0), w.option(2, []byte("eth1")), w.option(optionResolution, []byte{9}), uint32(0))
		w.block(blockInterface, uint16(1), uint16(0), uint32(0), w.option(optionResolution, []byte{0x80 | 10}),
			w.option(optionOffset, (&writer{order: order}).put(uint64(1000)).Bytes()))
		w.block(0x80000bad, []byte("of a vendor"))
		for i, p := range packets {
			w.enhanced(uint32(i%3), uint64(i+1)*5_000_000_000, p.data, p.wire)
		}
		w.block(blockPacket, uint16(1), uint16(5), uint32(1), uint32(2), uint32(3), uint32(3), []byte("old"))
		w.block(blockSimple, uint32(6), []byte("simple"))
		got, format := all(t, w.Bytes())
		judge, err := pcapgo.NewNgReader(bytes.NewReader(w.Bytes()), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		if got[0].At != 5000*time.Second || got[1].At != 10*time.Second || got[2].At != 14_649_437_500*time.Millisecond {
			t.Errorf("%v: %v, %v, %v", order, got[0].At, got[1].At, got[2].At)
		}
		if same(t, got, judge); len(got) != len(packets)+2 || format != "pcapng" || got[len(got)-1].Timed || string(got[len(got)-1].Data) != "simple" {
			t.Errorf("%v: %d records, %s", order, len(got), format)
		}
	}
	// Another section has another order, and none of the interfaces before.
	w := &writer{order: binary.LittleEndian}
	w.section().block(blockInterface, uint16(113), uint16(0), uint32(0)).enhanced(0, 0, []byte("first"), 5)
	w.order = binary.BigEndian
	w.section().block(blockInterface, uint16(1), uint16(0), uint32(4)).block(blockSimple, uint32(6), []byte("cuts"))
	got, _ := all(t, w.Bytes())
	if len(got) != 2 || got[0].Link != 113 || string(got[0].Data) != "first" || got[1].Link != LinkEthernet || string(got[1].Data) != "cuts" ||
		!got[1].Cut() {
		t.Errorf("%+v", got)
	}
}

// A check sequence that the file says is there is none of the frame, and a link type is no more than 16 bits of its field.
func TestCheckSequences(t *testing.T) {
	frame := []byte("a frame and its FCS.")
	file := old(binary.BigEndian, magicMicro, 2<<28|fcsKnown|1).packet(1, 2, frame, len(frame)).packet(1, 2, frame[:18], len(frame)).
		packet(1, 2, frame[:2], 2).Bytes()
	got, _ := all(t, file)
	if len(got) != 3 || string(got[0].Data) != "a frame and its " || got[0].Cut() || got[0].Link != LinkEthernet || got[1].Cut() ||
		string(got[1].Data) != "a frame and its " || len(got[2].Data) != 0 || got[2].Cut() {
		t.Errorf("%+v", got)
	}
	w := &writer{order: binary.LittleEndian}
	w.section().block(blockInterface, uint16(1), uint16(0), uint32(0), w.option(optionFCS, []byte{4}), uint32(0)).enhanced(0, 0, frame, len(frame))
	if got, _ = all(t, w.Bytes()); len(got) != 1 || string(got[0].Data) != "a frame and its " {
		t.Errorf("%+v", got)
	}
}

// What is no capture file, or a damaged one, is told in a sentence.
func TestWrongFiles(t *testing.T) {
	le := func() *writer { return (&writer{order: binary.LittleEndian}).section() }
	many := le()
	for range maxInterfaces + 1 {
		many.block(blockInterface, uint16(1), uint16(0), uint32(0))
	}
	eth := func(options ...any) *writer {
		return le().block(blockInterface, append([]any{uint16(1), uint16(0), uint32(0)}, options...)...)
	}
	one := func() *writer { return old(binary.LittleEndian, magicMicro, 1) }
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "is empty"},
		{"short", []byte("ab"), "no capture file"},
		{"text", []byte("hello, world"), "no capture file"},
		{"gzip", []byte{0x1f, 0x8b, 8, 0, 0}, "unpack it first"},
		{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd, 0}, "unpack it first"},
		{"half a header", one().Bytes()[:20], ErrEnds.Error()},
		{"version", (&writer{order: binary.LittleEndian}).put(uint32(magicMicro), uint16(2), uint16(2), make([]byte, 16)).Bytes(), "version 2.2"},
		{"half a record header", append(one().Bytes(), 1, 2, 3), ErrEnds.Error()},
		{"half a record", one().put(uint32(0), uint32(0), uint32(9), uint32(9), []byte("half")).Bytes(), ErrEnds.Error()},
		{"endless record", one().put(uint32(0), uint32(0), ^uint32(0), ^uint32(0)).Bytes(), "more than 262144"},
		{"long record", one().packet(0, 0, make([]byte, MaxRecord+1), MaxRecord+1).Bytes(), "262145 bytes is more than 262144"},
		{"more than there was", one().packet(0, 0, []byte("four"), 3).Bytes(), "4 bytes were captured of a packet of 3"},
		{"no order", (&writer{order: binary.LittleEndian}).block(magicSection, make([]byte, 16)).Bytes(), "without a byte order"},
		{"newer", (&writer{order: binary.LittleEndian}).block(magicSection, uint32(byteOrderMagic), uint16(2), uint16(0), uint64(0)).Bytes(), "version 2"},
		{"small section", (&writer{order: binary.LittleEndian}).put(uint32(magicSection), uint32(12), uint32(byteOrderMagic), uint16(1), uint16(0), uint64(0)).
			Bytes(), "section header of 12"},
		{"no interface", le().enhanced(0, 0, nil, 0).Bytes(), "interface 0, of 0"},
		{"no first interface", le().block(blockSimple, uint32(0)).Bytes(), "0 interfaces"},
		{"other interface", eth().enhanced(1, 0, nil, 0).Bytes(), "interface 1, of 1"},
		{"many interfaces", many.Bytes(), "more than 4096 interfaces"},
		{"small block", le().put(uint32(99), uint32(8)).Bytes(), "a block of 8 bytes"},
		{"odd block", le().put(uint32(99), uint32(13), make([]byte, 9)).Bytes(), "a block of 13 bytes"},
		{"two lengths", le().put(uint32(99), uint32(12), uint32(16)).Bytes(), "says 16 at its end"},
		{"endless block", le().put(uint32(99), ^uint32(3)).Bytes(), ErrEnds.Error()},
		{"packet too large for its block", eth().block(blockEnhanced, uint32(0), uint64(0), uint32(8), uint32(8), []byte("four")).Bytes(), "8 bytes in 4"},
		{"simple packet too large", eth().block(blockSimple, uint32(9), []byte("four")).Bytes(), "9 bytes in 4"},
		{"small packet", eth().block(blockEnhanced, uint32(0)).Bytes(), "block is of 4"},
		{"long option", eth(uint16(2), uint16(5)).Bytes(), "longer than its block"},
		{"fine times", eth((&writer{order: binary.LittleEndian}).option(optionResolution, []byte{20})).Bytes(), "resolution"},
		{"finer times", eth((&writer{order: binary.LittleEndian}).option(optionResolution, []byte{0xff})).Bytes(), "resolution"},
		{"large description", le().put(uint32(blockInterface), uint32(MaxRecord+16)).Bytes(), "description"},
	} {
		r, err := NewReader(bytes.NewReader(c.file))
		for err == nil {
			_, err = r.Next()
		}
		if err == io.EOF || !strings.Contains(err.Error(), c.want) || (c.want == ErrEnds.Error()) != errors.Is(err, ErrEnds) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// A reader begins anew, with nothing left of before.
func TestReset(t *testing.T) {
	ng := (&writer{order: binary.BigEndian}).section().block(blockInterface, uint16(1), uint16(0), uint32(0)).enhanced(0, 5, []byte("new"), 3).Bytes()
	files := [][]byte{old(binary.LittleEndian, magicMicro, 1).packet(0, 0, []byte("old"), 3).Bytes(), ng, []byte("text"), ng}
	r, err := NewReader(bytes.NewReader(files[1]))
	if err != nil {
		t.Fatal(err)
	}
	for round := range 8 {
		file := files[round%4]
		if err = r.Reset(bytes.NewReader(file)); (err != nil) != (round%4 == 2) {
			t.Fatalf("round %d: %v", round, err)
		}
		if round%4 == 2 {
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("a file that is none has a record: %v", err)
			}
			continue
		}
		if rec, err := r.Next(); err != nil || len(rec.Data) != 3 {
			t.Errorf("round %d: %+v, %v", round, rec, err)
		}
	}
}

// FuzzReader: whatever a file is, it comes to an end, no record is longer than promised, and memory is bounded.
func FuzzReader(f *testing.F) {
	f.Add([]byte(nil))
	for _, order := range orders {
		f.Add(old(order, magicMicro, 1).packet(1, 2, []byte("abcd"), 4).packet(3, 4, []byte("x"), 1600).Bytes())
		f.Add(old(order, magicNano, 2<<28|fcsKnown|1).packet(1, 2, []byte("abcdefgh"), 8).Bytes())
		w := &writer{order: order}
		w.section().block(blockInterface, uint16(1), uint16(0), uint32(3), w.option(optionResolution, []byte{0xbf}), w.option(optionFCS, []byte{255}),
			w.option(optionOffset, make([]byte, 8)))
		w.enhanced(0, ^uint64(0), []byte("abc"), 3).block(blockSimple, uint32(9), []byte("abc")).block(5, []byte("statistics"))
		f.Add(w.section().Bytes())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := NewReader(bytes.NewReader(file))
		for n := 0; err == nil; n++ {
			var rec Record
			if rec, err = r.Next(); err != nil {
				break
			}
			if len(rec.Data) > MaxRecord || len(rec.Data) > rec.Length || rec.At < 0 || n > len(file)/16 {
				t.Fatalf("record %d of %d bytes: %+v", n, len(file), rec)
			}
		}
		if r.in.at > int64(len(file)) || len(r.in.scratch) > MaxRecord || len(r.sections.ifaces) > maxInterfaces {
			t.Fatalf("at %d of %d bytes, %d bytes and %d interfaces kept", r.in.at, len(file), len(r.in.scratch), len(r.sections.ifaces))
		}
	})
}
