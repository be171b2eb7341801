// SPDX-License-Identifier: Apache-2.0

package echo

import (
	"net/netip"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/stamp"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

var from = netip.MustParseAddrPort("10.0.0.1:5000")

// What could make an echo talk to another, to many, or to nobody gets no answer.
func TestRule(t *testing.T) {
	asked, answered := make([]byte, stamp.Size), make([]byte, stamp.Size)
	stamp.Stamp{Run: 1}.PutPing(asked)
	stamp.Stamp{Run: 1}.PutPing(answered)
	stamp.MakeAnswer(answered)
	blast := make([]byte, stamp.Size)
	stamp.Stamp{Run: 1}.Put(blast)
	for _, c := range []struct {
		head []byte
		from string
		cast bool
		only Cause // of an echo of pings
		any  Cause // with Any
	}{
		{asked, "10.0.0.1:5000", false, "", ""},
		{asked, "10.0.0.1:80", false, "", ""},
		{asked, "[fd00::1]:5000", false, "", ""},
		{asked, "127.0.0.1:5000", false, "", ""},
		{answered, "10.0.0.1:5000", false, AnAnswer, AnAnswer},
		{blast, "10.0.0.1:5000", false, ofBlast, ""},
		{nil, "10.0.0.1:5000", false, NotAPing, ""},
		{asked[:stamp.Size-1], "10.0.0.1:5000", false, NotAPing, ""},
		{nil, "10.0.0.1:7", false, NotAPing, LowPort},
		{nil, "10.0.0.1:1023", false, NotAPing, LowPort},
		{nil, "10.0.0.1:1024", false, NotAPing, ""},
		{asked, "10.0.0.1:0", false, PortZero, PortZero},
		{asked, "10.0.0.1:9000", false, OwnPort, OwnPort},
		{nil, "10.0.0.1:9000", false, NotAPing, OwnPort},
		{asked, "224.0.0.1:5000", false, NotAHost, NotAHost},
		{asked, "[ff02::1]:5000", false, NotAHost, NotAHost},
		{asked, "[::ffff:224.0.0.1]:5000", false, NotAHost, NotAHost},
		{asked, "255.255.255.255:5000", false, NotAHost, NotAHost},
		{asked, "0.0.0.0:5000", false, NotAHost, NotAHost},
		{asked, "[::]:5000", false, NotAHost, NotAHost},
		{asked, "10.0.0.1:5000", true, ToGroup, ToGroup},
	} {
		from := netip.MustParseAddrPort(c.from)
		if got := (Rule{Port: 9000}).judge(c.head, from, c.cast); got != c.only {
			t.Errorf("%x from %v, cast %v: %q, want %q", c.head, from, c.cast, got, c.only)
		}
		if got := (Rule{Port: 9000, Any: true}).judge(c.head, from, c.cast); got != c.any {
			t.Errorf("with any, %x from %v, cast %v: %q, want %q", c.head, from, c.cast, got, c.any)
		}
	}
	if got := (Rule{Port: 9000}).judge(asked, netip.AddrPort{}, false); got == "" {
		t.Error("who is not known gets an answer")
	}
	answer(asked)
	if !stamp.IsAnswer(asked) {
		t.Error("an answer is not marked")
	}
	if answer(blast); !func() bool { _, ok := stamp.Parse(blast); return ok }() {
		t.Error("what is no ping was changed")
	}
}

// An answer comes from where its datagram went; the interface is that of the route, but for a link-local address.
func TestSourceOfAnswer(t *testing.T) {
	a4, a6, local := netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("fd00::9"), netip.MustParseAddr("fe80::9")
	for _, c := range []struct {
		a     netip.Addr
		index uint32
	}{{a4, 0}, {a6, 0}, {local, 7}} {
		got := appendSource(nil, wsk.AppendPktinfo(wsk.AppendTTL(nil, c.a.Is4(), 9), c.a, 7))
		if want := wsk.AppendPktinfo(nil, c.a, c.index); string(got) != string(want) {
			t.Errorf("%v: %x, want %x", c.a, got, want)
		}
	}
	if got := appendSource(nil, nil); len(got) != 0 {
		t.Errorf("without control data: %x", got)
	}
}

func TestReport(t *testing.T) {
	r := &Report{}
	r.Fill(Counts{Packets: 9, Answered: 4, Refused: map[Cause]uint64{NotAPing: 2, OwnPort: 3}}, map[string]uint64{})
	if want := (Verdict{"refused", false, "4 datagrams answered; refused: 3 from own port, 2 not a ping"}); r.Verdict != want || r.Totals.Refused != 5 {
		t.Errorf("%+v", r)
	}
	r.Fill(Counts{Packets: 4, Answered: 3, Failed: 1}, map[string]uint64{"rx_ring_full": 7})
	if want := (Verdict{"drops", false, "3 datagrams answered; 1 answers failed; 7 dropped here: rx ring full"}); r.Verdict != want {
		t.Errorf("%+v", r.Verdict)
	}
	r.Fill(Counts{}, nil)
	if r.Verdict.ID != "nothing" {
		t.Errorf("%+v", r.Verdict)
	}
}
