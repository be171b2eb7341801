// SPDX-License-Identifier: Apache-2.0

package send

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// A neighbour table that is full is not told as a host that does not answer, or as a route that is missing.
func TestAdviceAboutFullTables(t *testing.T) {
	to := netip.MustParseAddr("192.0.2.9")
	const full = "the table is full"
	for status, want := range map[wsk.NTSTATUS]string{
		wsk.STATUS_HOST_UNREACHABLE: "nobody answers", wsk.STATUS_NETWORK_UNREACHABLE: "there is no route",
		wsk.STATUS_INSUFFICIENT_RESOURCES: "send more slowly",
	} {
		if got := Advice(status, to, ""); !strings.Contains(got, want) {
			t.Errorf("%v: %q", status, got)
		}
		if got := Advice(status, to, full); got != full {
			t.Errorf("%v with a full table: %q", status, got)
		}
	}
	if got := Advice(wsk.STATUS_ACCESS_DENIED, to, full); got == full {
		t.Error("a refusal is blamed on the table")
	}
}
