// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestSpeed(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{})
	err := l.A.NS.Do(func() error {
		if got, err := Speed(l.A.If.Name()); err != nil || got != 10_000_000_000 {
			t.Errorf("veth: %d, %v; its driver says 10 Gbit/s", got, err)
		}
		if got, err := Speed("eth77"); !errors.Is(err, unix.ENODEV) {
			t.Errorf("no interface: %d, %v", got, err)
		}
		if got, err := Speed("lo"); err == nil {
			t.Errorf("lo: %d", got)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
