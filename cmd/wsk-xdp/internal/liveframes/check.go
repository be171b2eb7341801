// SPDX-License-Identifier: Apache-2.0

package liveframes

import (
	"errors"
	"fmt"

	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// Device is where packets leave. Its index is looked up in the network namespace of the thread that calls Open.
type Device struct {
	Name  string
	Index int
}

var (
	// ErrImpossible is wrapped where the kernel has no live frames, or the device takes none.
	ErrImpossible = errors.New("live frames can't be sent here")
	// ErrTooLong is wrapped where a frame does not fit what the kernel makes.
	ErrTooLong = errors.New("the frames are too long")
)

// Check says why an interface of the calling thread's network namespace takes no live frames, as far as that can be asked.
func Check(d Device) error {
	i, err := nic.Inspect(d.Name)
	if err != nil || i.DeviceErr != nil || i.Device.XDP.Redirected() {
		return err // what can't be asked is tried
	}
	if i.Type == "veth" {
		return fmt.Errorf("%w: %s is a veth, which takes them only when its other end has an XDP program or GRO: ethtool -K IFACE gro on "+
			"there, or wsk-xdp recv --engine xdp -i IFACE", ErrImpossible, d.Name)
	}
	return fmt.Errorf("%w: the driver of %s (%s) takes no frames that are redirected to it (ndo_xdp_xmit): use --engine frames", ErrImpossible, d.Name,
		i.Driver)
}
