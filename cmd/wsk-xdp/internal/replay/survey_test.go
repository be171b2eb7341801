// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/wsk-xdp/wsk-xdp/frame"
)

func survey(t *testing.T, data []byte, rules *Rules, limit uint64) File {
	t.Helper()
	f, err := Survey(t.Context(), bytes.NewReader(data), rules, limit, 0, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// tagged is a frame of so many bytes with this type behind the MACs.
func tagged(size int, kind uint16) []byte {
	b := frameOf(1, size)
	b[12], b[13] = byte(kind>>8), byte(kind)
	return b
}

// What can be sent is counted with its sizes, and what can't by its cause; a tag is not of the MTU.
func TestSurvey(t *testing.T) {
	group := frameOf(2, 60)
	group[0] = 1
	data := file(t, layers.LinkTypeEthernet,
		entry{data: frameOf(0, 1514)}, entry{at: 5, data: frameOf(1, 1515)}, entry{at: 6, data: tagged(1518, 0x8100)}, entry{at: 7, data: tagged(1519, 0x8100)},
		entry{at: 8, data: frameOf(3, 40), wire: 41}, entry{at: 9, data: frameOf(4, 14)}, entry{at: 9, data: frameOf(4, 14)[:13]},
		entry{at: 1, data: group}, entry{at: 20, data: nil}, entry{at: 21, data: tagged(5000, 0x88a8)})
	f := survey(t, data, &Rules{MTU: 1500}, 0)
	want := LeftOut{Cut: 1, Long: 3, Short: 2}
	got := f.LeftOut
	got.first, got.link, got.longest, got.snapped, got.original = want.first, 0, 0, 0, 0
	if f.Records != 10 || f.Frames != 4 || got != want || f.Largest != 1518 || f.Bytes != 1514+1518+14+60 || f.L2Bytes != 1518+1522+64+64 ||
		f.L1Bytes != f.L2Bytes+4*20 || f.Groups != 1 || f.Backwards != 1 || f.Untimed != 0 || f.Span != 9 || f.Format != "pcap" {
		t.Errorf("%+v", f)
	}
	if m := f.Mix(); m.Packets != 4 || m.MeanL2() != 792 || m.Largest != 1518 {
		t.Errorf("%+v", m)
	}
	// With a large MTU a chunk is what bounds.
	if f = survey(t, data, &Rules{MTU: 9000}, 0); f.Largest != 1519 || f.LeftOut.Long != 1 {
		t.Errorf("%+v", f)
	}
	// A limit ends the reading: nothing behind it is looked at.
	if f = survey(t, data, &Rules{MTU: 1500}, 1); f.Records != 1 || f.Frames != 1 || f.LeftOut.Total() != 0 {
		t.Errorf("%+v", f)
	}
	// MACs that are written over are what counts.
	to := frame.MAC{2}
	if f = survey(t, data, &Rules{MTU: 1500, Destination: &to}, 0); f.Groups != 0 {
		t.Errorf("%+v", f)
	}
	to[0] = 3
	if f = survey(t, data, &Rules{MTU: 1500, Destination: &to}, 0); f.Groups != f.Frames {
		t.Errorf("%+v", f)
	}
	// A file that ends within a record has the others.
	if f = survey(t, data[:len(data)-1], &Rules{MTU: 1500}, 0); f.LeftOut.Unfinished != 1 || f.Frames != 4 || f.LeftOut.Long != 2 {
		t.Errorf("%+v", f)
	}
}

// Each cause has its sentence, with what to do.
func TestRefusals(t *testing.T) {
	rules := &Rules{MTU: 1500}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{file(t, layers.LinkTypeLinuxSLL, entry{data: frameOf(0, 60)}), "record 1 is not of Ethernet but Linux cooked capture"},
		{file(t, 4711, entry{data: frameOf(0, 60)}), "link type 4711"},
		{file(t, layers.LinkTypeEthernet, entry{data: frameOf(0, 60)}, entry{data: frameOf(0, 60), wire: 1000}), "record 2 is cut, 60 bytes of 1000"},
		{file(t, layers.LinkTypeEthernet, entry{data: frameOf(0, 1515)}), "record 1 is more than wsk0 takes with its MTU of 1500: the longest is 1515"},
		{file(t, layers.LinkTypeEthernet, entry{data: frameOf(0, 30_000)}), "gro off"},
		{file(t, layers.LinkTypeEthernet, entry{data: frameOf(0, 14)[:3]}), "shorter than an Ethernet header"},
		{file(t, layers.LinkTypeEthernet, entry{data: frameOf(0, 60)})[:50], "ends within a record"},
	} {
		f := survey(t, c.data, rules, 0)
		err := f.LeftOut.Refusal(rules, "wsk0")
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--skip") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	f := survey(t, file(t, layers.LinkTypeEthernet, regular(3, 1)...), rules, 0)
	if err := f.LeftOut.Refusal(rules, "wsk0"); err != nil {
		t.Error(err)
	}
}

// A flood is more than 100,000 a second, not the same number at once after a pause, and rounds without an end count.
func TestFlood(t *testing.T) {
	for _, c := range []struct {
		name          string
		entries       []entry
		once, forever bool
	}{
		{"slow", regular(3000, 10*time.Microsecond), false, false},
		{"fast", regular(12_000, 9*time.Microsecond), true, true},
		{"burst", regular(HarmlessBurst, 0), false, true},
		{"long burst", regular(HarmlessBurst+1, 0), true, true},
		{"one", regular(1, 0), false, true},
		{"burst and pause", append(regular(HarmlessBurst, 0), entry{at: time.Second, data: frameOf(7, 60)}), false, false},
	} {
		f := survey(t, file(t, layers.LinkTypeEthernet, c.entries...), &Rules{MTU: 1500}, 0)
		once, _ := f.Flood(1)
		twice, groups := f.Flood(2)
		forever, _ := f.Flood(0)
		if once != c.once || twice != c.forever || forever != c.forever || groups {
			t.Errorf("%s: once %v, twice %v, for ever %v, groups %v", c.name, once, twice, forever, groups)
		}
		to := frame.BroadcastMAC()
		f = survey(t, file(t, layers.LinkTypeEthernet, c.entries...), &Rules{MTU: 1500, Destination: &to}, 0)
		if _, once = f.Flood(1); once != c.once {
			t.Errorf("%s: a flood of groups is %v", c.name, once)
		}
	}
}

func TestTotals(t *testing.T) {
	for _, c := range []struct{ frames, rounds, limit, want uint64 }{
		{10, 1, 0, 10}, {10, 3, 0, 30}, {10, 3, 25, 25}, {10, 3, 35, 30}, {10, 0, 0, 0}, {10, 0, 7, 7}, {10, math.MaxUint64, 0, math.MaxUint64},
		{10, math.MaxUint64, 5, 5},
	} {
		f := File{Frames: c.frames, Groups: 1}
		if got := f.Total(c.rounds, c.limit); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
		if got := f.GroupsOf(c.want); c.want == 0 && got != math.MaxUint64 || c.want > 0 && c.want < 100 && got != (c.want+9)/10 {
			t.Errorf("%+v: %d of groups", c, got)
		}
	}
}

// A survey can be stopped.
func TestSurveyStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	data := file(t, layers.LinkTypeEthernet, regular(3*checked, 1)...)
	told := uint64(0)
	f, err := Survey(ctx, bytes.NewReader(data), &Rules{MTU: 1500}, 0, 0, func(records uint64) {
		told = records
		cancel()
	})
	if err == nil || told != checked || f.Records != checked {
		t.Errorf("%v: %d told, %+v", err, told, f)
	}
}
