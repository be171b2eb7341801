// SPDX-License-Identifier: Apache-2.0

package service

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
	"github.com/wsk-xdp/wsk-xdp/wsk/service/internal/quota"
)

// TestThrottledOnce: a socket that is told again and again how long it waits has waited that long once.
func TestThrottledOnce(t *testing.T) {
	g := quota.NewGrant("a", &policy.Limits{})
	k := &socket{quota: g.NewShare()}
	k.hold.init(k)
	defer k.hold.stop()
	for range 100 {
		k.hold.wait(time.Hour)
	}
	if counted := time.Duration(g.Counters.Throttled.Load()); counted < time.Hour || counted > 2*time.Hour {
		t.Errorf("%v", counted)
	}
}
