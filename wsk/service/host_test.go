// SPDX-License-Identifier: Apache-2.0

package service

import (
	"testing"
	"time"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// TestPlaceOfNewInterface: an interface that was not there, or had another name, is found when it is.
func TestPlaceOfNewInterface(t *testing.T) {
	p, err := policy.Parse("p", grantText("a"), policy.Host{})
	if err != nil {
		t.Fatal(err)
	}
	name, asked := "", 0
	h := host{name: func(uint32) string { asked++; return name }}
	expect := func(place, questions int) {
		t.Helper()
		if got := h.place(p, 7); got != place || asked != questions {
			t.Errorf("%d, asked %d times", got, asked)
		}
	}
	expect(policy.NoInterface, 1)
	name = "other"
	expect(policy.NoInterface, 2)
	expect(policy.NoInterface, 2)
	name = "eth0"
	h.places.Load().places[7] = placed{policy.NoInterface, time.Now().Add(-2 * forgetAbsent)}
	expect(0, 3)
	expect(0, 3)
}
