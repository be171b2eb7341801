// SPDX-License-Identifier: Apache-2.0

package nic

import (
	"slices"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// TestStations: a macvlan shows on the interface that it is on, also from another namespace, while it is up.
func TestStations(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	lab, elsewhere := testenv.NewLabT(t, testenv.Topology{}), testenv.NewNamespaceT(t)
	stations := func() (list []string) {
		t.Helper()
		err := lab.A.NS.Do(func() error {
			found, err := Stations(lab.A.If.Index())
			for _, a := range found {
				list = append(list, a.String())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := stations(); len(list) != 0 {
		t.Errorf("at first: %v", list)
	}
	m, err := lab.A.If.Macvlan("mac0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if list := stations(); !slices.Equal(list, []string{m.MAC().String()}) {
		t.Errorf("with a macvlan: %v, want %v", list, m.MAC())
	}
	h, err := lab.A.NS.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	l, err := h.LinkByName("mac0")
	if err == nil {
		err = h.LinkSetNsFd(l, elsewhere.FD())
	}
	if err != nil {
		t.Fatal(err)
	}
	if list := stations(); len(list) != 0 {
		t.Errorf("with one elsewhere that is down: %v", list)
	}
	there, err := testenv.FindIface(elsewhere, "mac0")
	if err == nil {
		err = there.SetUp()
	}
	if err != nil {
		t.Fatal(err)
	}
	if list := stations(); !slices.Equal(list, []string{there.MAC().String()}) {
		t.Errorf("with one elsewhere: %v, want %v", list, there.MAC())
	}
}
