// SPDX-License-Identifier: Apache-2.0

package netconn

import (
	"net/netip"
	"testing"
)

// TestNeedsZone: a link-local address of IPv4 has no zone, in the form in which a socket of both families has it either.
func TestNeedsZone(t *testing.T) {
	for text, want := range map[string]bool{
		"fe80::1": true, "fe80::1%2": false, "ff02::1": true, "2001:db8::1": false,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "::ffff:224.0.0.1": false,
	} {
		if got := needsZone(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
