// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

func TestNegotiation(t *testing.T) {
	const all = ipc.FeatureReceive | ipc.FeatureSegment | ipc.FeatureCoalesced | ipc.FeatureMulticast | ipc.FeatureErrors
	later := ipc.Hello{Minor: ipc.Minor + 5, Features: all | 1<<40, MaxMessage: 1 << 30}
	want := ipc.Welcome{Minor: ipc.Minor, Features: ipc.FeatureReceive, MaxMessage: ipc.MaxMessage}
	if got := later.Welcome(ipc.FeatureReceive | 1<<41); got != want {
		t.Errorf("a later client: %+v, want %+v", got, want)
	}
	small := ipc.Hello{MaxMessage: ipc.MinMessage, Features: ipc.FeatureErrors}
	want = ipc.Welcome{MaxMessage: ipc.MinMessage}
	if got := small.Welcome(ipc.FeatureReceive); got != want {
		t.Errorf("a small client: %+v, want %+v", got, want)
	}
}

// TestVersionNamesBoth: the operator has to see which of the two is old.
func TestVersionNamesBoth(t *testing.T) {
	body := (&ipc.Hello{MaxMessage: ipc.MaxMessage}).Append(nil)
	body[4] = 9
	err := new(ipc.Hello).Decode(body)
	if err == nil || !strings.Contains(err.Error(), "same major version: 9 meets 1") ||
		!strings.Contains(err.Error(), "protocol.version") {
		t.Errorf("got %v", err)
	}
}

// TestAppendKeepsWithinBounds: what goes out decodes, whatever the caller has given.
func TestAppendKeepsWithinBounds(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for in, want := range map[string]string{
		"":              "",
		long:            strings.Repeat("ä", 128),
		"x" + long:      "x" + strings.Repeat("ä", 127), // 255: a half ä is none
		"a\nb\x1b[2Jc":  "a\ufffdb\ufffd[2Jc",
		"\xff and \xc3": "\ufffd and \ufffd",
	} {
		var got ipc.Failure
		err := got.Decode(ipc.TypeError, (&ipc.Failure{Reason: ipc.ReasonRate, Text: in}).Append(nil))
		if err != nil || got.Text != want || got.Reason != ipc.ReasonRate {
			t.Errorf("%q: got %q, %v, want %q", in, got.Text, err, want)
		}
	}
	hello := ipc.Hello{Name: strings.Repeat("n", 40), MaxMessage: ipc.MaxMessage}
	var h ipc.Hello
	if err := h.Decode(hello.Append(nil)); err != nil || h.Name != strings.Repeat("n", 32) {
		t.Errorf("name %q, %v", h.Name, err)
	}
	many := ipc.Addresses{List: make([]ipc.InterfaceAddress, ipc.MaxAddresses+1)}
	for i := range many.List {
		many.List[i] = ipc.InterfaceAddress{Addr: [16]byte{0: 0x20, 14: byte(i >> 8), 15: byte(i)}, IfIndex: 1}
	}
	var a ipc.Addresses
	if err := a.Decode(many.Append(nil)); err != nil || len(a.List) != ipc.MaxAddresses {
		t.Errorf("%d addresses, %v", len(a.List), err)
	}
	if n := len(many.Append(nil)) + ipc.HeaderSize; n > ipc.MinMessage {
		t.Errorf("ADDRESSES has %d bytes, more than every session takes", n)
	}
}

func TestMessageSizes(t *testing.T) {
	for n, want := range map[int]ipc.Reason{
		0: ipc.ReasonBounds, 15: ipc.ReasonBounds, 16: ipc.ReasonMessage,
		ipc.MaxMessage: ipc.ReasonMessage, ipc.MaxMessage + 1: ipc.ReasonBounds,
	} {
		_, _, err := ipc.ParseRequest(make([]byte, n))
		var v *ipc.Violation
		if !errors.As(err, &v) || v.Reason != want {
			t.Errorf("%d bytes: %v, want %s", n, err, want)
		}
	}
}

func TestTypeNames(t *testing.T) {
	for ty, want := range map[ipc.Type]string{
		ipc.TypeSend: "SEND", ipc.TypeSend.Reply(): "reply to SEND", ipc.TypeRecv: "RECV", 77: "message 0x4d",
	} {
		if ty.String() != want {
			t.Errorf("%#x: %q, want %q", uint16(ty), ty, want)
		}
	}
	if !ipc.TypeOpen.Reply().IsReply() || ipc.TypeOpen.IsReply() || ipc.TypeOpen.Reply().Request() != ipc.TypeOpen {
		t.Error("replies are not told from requests")
	}
}

// TestValuesAreThoseOfWSK: the protocol must not change with package wsk, nor mean anything else.
func TestValuesAreThoseOfWSK(t *testing.T) {
	for name, pair := range map[string][2]int{
		"AF_INET":         {ipc.FamilyIPv4, wsk.AF_INET},
		"AF_INET6":        {ipc.FamilyIPv6, wsk.AF_INET6},
		"MaxPayload4":     {ipc.MaxPayload4, wsk.MaxPayload4},
		"MaxPayload6":     {ipc.MaxPayload6, wsk.MaxPayload6},
		"JoinGroup":       {int(ipc.JoinGroup), int(wsk.JoinGroup)},
		"LeaveGroup":      {int(ipc.LeaveGroup), int(wsk.LeaveGroup)},
		"JoinSource":      {int(ipc.JoinSource), int(wsk.JoinSource)},
		"LeaveSource":     {int(ipc.LeaveSource), int(wsk.LeaveSource)},
		"BlockSource":     {int(ipc.BlockSource), int(wsk.BlockSource)},
		"UnblockSource":   {int(ipc.UnblockSource), int(wsk.UnblockSource)},
		"Unicast":         {0, int(wsk.Unicast)},
		"Broadcast":       {1, int(wsk.Broadcast)},
		"Multicast":       {2, int(wsk.Multicast)},
		"AllowBroadcast":  {1, int(wsk.AllowBroadcast)},
		"NoChecksum":      {2, int(wsk.NoChecksum)},
		"IP_PMTUDISC_MAX": {4, int(wsk.IP_PMTUDISC_MAX)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %d here, %d in wsk", name, pair[0], pair[1])
		}
	}
}
