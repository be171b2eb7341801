// SPDX-License-Identifier: Apache-2.0

package send

import (
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/wsk"
)

// TestFlowsGiveWay: destinations that were asked for one by one share a flow when the routes are known, without being asked for again;
// one with a path MTU of its own does not.
func TestFlowsGiveWay(t *testing.T) {
	const many = 100
	r, g, w := newGatewayRig(t, 1)
	g.byGateway(r)
	g.change(func() {
		for i := range many {
			g.single[behind(i)] = 1500
		}
		g.single[behind(many)] = 1300
	})
	n := &rounds{s: r.socket()}
	n.send(1, many+1)
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	src := r.sources[0]
	if own, shared := flowCounts(src); own != many+1 || shared != 0 {
		t.Fatalf("%d flows and %d shared ones", own, shared)
	}
	src.GiveWay()
	if own, _ := flowCounts(src); own != many+1 {
		t.Errorf("%d flows are left while no other would do", own)
	}
	g.change(func() {
		for i := range many {
			delete(g.single, behind(i))
		}
	})
	mustSucceed(t, "a destination that comes now", sendOne(t, n.s, whole([]byte("now")), sockaddr(behind(many+1), 9), nil))
	testenv.Eventually(t, waitLimit, "a shared flow", func() bool {
		_, shared := flowCounts(src)
		return shared == 1 && src.flows.sought.Load() == 0
	})
	src.GiveWay()
	if own, _ := flowCounts(src); own > keptFlows {
		t.Errorf("%d flows are left, want %d", own, keptFlows)
	}
	alone := false
	src.flows.each(func(f *Flow) { alone = alone || f.to.IP() == behind(many) })
	if !alone {
		t.Error("the destination with a path MTU of its own shares a flow")
	}
	n.send(1, many+1)
	awaitAll(t, n.irps, wsk.STATUS_SUCCESS)
	n.inOrder(t, w, many+1)
}
