// SPDX-License-Identifier: Apache-2.0

package pctest

import (
	"net/netip"
	"testing"
)

// TestKernel is the suite against the original. What fails here is wrong in the suite.
func TestKernel(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			host := Kernel(netip.MustParseAddr(addr), nil)
			Run(t, Hosts{A: host, B: host, Refuses: true})
		})
	}
}
