// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func TestSpeed(t *testing.T) {
	testenv.Require(t, testenv.NetNS)
	l := testenv.NewLabT(t, testenv.Topology{})
	err := l.A.NS.Do(func() error {
		// Newer kernels ask the driver only once the link's state has been noticed, a moment after it is up.
		testenv.Eventually(t, time.Minute, "10 Gbit/s, which the driver of veth says", func() bool {
			got, err := Speed(l.A.If.Name())
			return err == nil && got == 10_000_000_000
		})
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
