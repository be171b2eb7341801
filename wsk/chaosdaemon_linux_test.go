// SPDX-License-Identifier: Apache-2.0

package wsk_test

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/servicetest"
)

// TestChaosThroughDaemon is TestChaos with a daemon and its client between the sockets and the transport: whatever the
// one and the other do, what holds without them holds with them, and nothing breaks a rule of their protocol.
func TestChaosThroughDaemon(t *testing.T) {
	chaosStorm(t, func(c *chaos) wsk.Transport {
		return servicetest.Over(t, c, "eth0", func(uint32) string { return "eth0" }, nil)
	})
}
