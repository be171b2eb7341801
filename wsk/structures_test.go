// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"encoding/hex"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// Checklist item 2, the structures of control codes: golden bytes, written by hand. WSK_TRANSPORT is in
// TestTransportListQuery, IN_PKTINFO, IN6_PKTINFO and IN_RECVERR in TestReceiveControl and TestReceiveErrors.
func TestControlStructuresGolden(t *testing.T) {
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"WSK_EVENT_CALLBACK_CONTROL", wsk.NewEventCallbackControl(wsk.WSK_EVENT_RECEIVE_FROM),
			"03e827228b8dd411abad009027719e09" + "00010000" + "00000000"}, // {2227E803-8D8B-11D4-ABAD-009027719E09}
		{"SOCKET_ADDRESS_LIST", wsk.AppendAddressList(nil, []wsk.SOCKADDR{addr("192.0.2.1:9"), addr("[2001:db8::1]:9")}),
			"0200000000000000" + "2800000000000000" + "1000000000000000" + "3800000000000000" + "1c00000000000000" +
				"02000009c00002010000000000000000" + "1700000900000000" + "20010db8000000000000000000000001" + "00000000"},
		{"SOCKET_ADDRESS_LIST, empty", wsk.AppendAddressList(nil, nil), "0000000000000000"},
		{"SECURITY_DESCRIPTOR, NULL DACL", wsk.SharingDescriptor(true), "01000480" + "000000000000000000000000" + "00000000"},
		{"SECURITY_DESCRIPTOR, empty DACL", wsk.SharingDescriptor(false),
			"01000480" + "000000000000000000000000" + "14000000" + "0200080000000000"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
