// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// withHolder adds, to the error that a queue is taken, who has it. It leaves other errors alone.
func withHolder(ns, ifindex int, err error) error {
	var op *xdp.OpError
	if !errors.Is(err, unix.EBUSY) || !errors.As(err, &op) {
		return err
	}
	var h nic.Holders
	if nsErr := netns.Borrow(ns).Do(func() error { h = nic.FindHolders(ifindex); return nil }); nsErr != nil {
		return err // the error says what is wrong; only the name of the holder is missing
	}
	return fmt.Errorf("%w; queue %d: %s", err, op.Queue, h.Describe(op.Queue))
}

// copyOnly is whether the driver is known to have no zero-copy: then copy mode, which the start block names, is no surprise.
func copyOnly(ns int, device string) (only bool) {
	_ = netns.Borrow(ns).Do(func() error { // where that is not known, zero-copy was refused for some reason
		i, err := nic.Inspect(device)
		only = err == nil && i.DeviceErr == nil && !i.Device.XDP.ZeroCopy()
		return err
	})
	return only
}
