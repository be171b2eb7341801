// SPDX-License-Identifier: Apache-2.0

package device

import (
	"github.com/wsk-xdp/wsk-xdp/xdp"
	"github.com/wsk-xdp/wsk-xdp/xdp/nic"
)

// While a queue is being opened, the kernel's stack can send what it is to send. To open one without zero-copy leaves the interface as
// it is, so that what leaves meanwhile arrives; with zero-copy most drivers reset, and some take the link down.

// Learn asks drivers beforehand what they can, so that the first datagram does not wait for that either.
func (set *Set) Learn() {
	_ = set.InNetNS(func() error {
		devices, err := nic.Devices()
		if err == nil {
			set.announced.Store(&devices)
		}
		return err
	})
}

// standsIn reports whether the kernel's stack is to send while a queue is being opened; known is false where it does not know
// without asking.
func (d *Device) standsIn() (does, known bool) {
	o := &d.set.Opts
	switch all := d.set.announced.Load(); {
	case !o.StandIn || d.program != nil:
		return false, true
	case o.Socket.Mode == xdp.ModeCopy:
		return true, true
	case all != nil:
		device, known := (*all)[d.Index]
		return known && !device.XDP.ZeroCopy(), known
	}
	return false, false
}

// asksStandIn is standsIn for somebody who may ask.
func (d *Device) asksStandIn() (does bool) {
	if does, known := d.standsIn(); known {
		return does
	}
	_ = d.inNetNS(func() error {
		device, err := nic.DeviceOf(d.Index)
		does = err == nil && !device.XDP.ZeroCopy()
		return err
	})
	return does
}
