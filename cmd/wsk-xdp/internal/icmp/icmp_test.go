// SPDX-License-Identifier: Apache-2.0

package icmp

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

func TestICMPMeanings(t *testing.T) {
	for _, c := range []struct {
		protocol, kind, code uint8
		want                 string
	}{
		{1, 3, 3, portClosed + " (2 times)"},
		{58, 1, 4, portClosed + " (2 times)"},
		{1, 3, 1, noHost + " (2 times)"},
		{58, 1, 3, noHost + " (2 times)"},
		{1, 3, 13, prohibited + " (2 times)"},
		{58, 1, 1, prohibited + " (2 times)"},
		{1, 11, 0, outOfHops + " (2 times)"},
		{58, 3, 0, outOfHops + " (2 times)"},
		{58, 2, 0, tooBig + " (2 times)"},
		{1, 4, 0, "an ICMP error came back, type 4 code 0 (2 times)"},
		{1, 3, 77, "an ICMP error came back, type 3 code 77 (2 times)"},
		{58, 200, 1, "an ICMP error came back, type 200 code 1 (2 times)"},
		{9, 0, 0, "an ICMP error came back, type 0 code 0 (2 times)"},
	} {
		l := NewListener()
		for range 2 {
			l.Hear(wsk.ReceiveError{Protocol: c.protocol, Type: c.kind, Code: c.code})
		}
		if len(l.kinds) != 1 || l.kinds[0].Sentence() != c.want || l.kinds[0].PortClosed() != (c.want == portClosed+" (2 times)") {
			t.Errorf("%+v: %+v", c, l.kinds)
		}
	}
}

// What was heard before a run is none of it, and nobody who waits for an error of the run is woken by it.
func TestErrorsBeforeARun(t *testing.T) {
	l := NewListener()
	closed := wsk.ReceiveError{Protocol: 1, Type: 3, Code: 3}
	l.Hear(closed)
	l.HearEarly(closed)
	l.HearEarly(wsk.ReceiveError{Protocol: 1, Type: 11})
	l.Begin()
	l.HearEarly(closed)
	select {
	case <-l.Heard():
		t.Error("an error of the run is heard before there is one")
	default:
	}
	if e := l.Errors(); len(e) != 0 {
		t.Errorf("%+v", e)
	}
	l.Hear(closed)
	<-l.Heard()
	if e := l.Errors(); len(e) != 1 || e[0].Messages != 1 {
		t.Errorf("%+v", e)
	}
	if e := l.Early(); len(e) != 2 || e[0].Messages != 3 || !e[0].PortClosed() || e[1].Messages != 1 {
		t.Errorf("%+v", e)
	}
}

// Who sends every kind of error there is makes no list of them all.
func TestICMPErrorsAreBounded(t *testing.T) {
	l := NewListener()
	for i := range 1 << 16 {
		l.Hear(wsk.ReceiveError{Protocol: 1, Type: uint8(i >> 8), Code: uint8(i)})
	}
	if len(l.kinds) != mostKinds {
		t.Errorf("%d kinds are kept", len(l.kinds))
	}
}
