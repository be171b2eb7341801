// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"errors"
	"fmt"
	"net"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"
)

// Interface is what can be found out about an interface without touching it, for a user who wants to know what AF_XDP
// can do there. A fact that cannot be had comes with the error that says why, which wraps ErrNotSupported where the
// kernel or the driver does not know the question.
type Interface struct {
	Name  string
	Index int
	Type  string // "veth", "device", "bridge", … as rtnetlink names it
	MTU   int
	Up    bool // administratively
	// Running is whether the carrier is there.
	Running bool

	// Driver is the kernel driver, empty when it does not say.
	Driver string

	TxQueues, RxQueues QueueCount

	// HardwareRings are the sizes of the NIC's own rings.
	HardwareRings    HardwareRings
	HardwareRingsErr error

	// Device are the XDP and AF_XDP features of the driver.
	Device    Device
	DeviceErr error

	// Queues are the queues in use, each with whether an AF_XDP socket holds it. Empty while the interface is down.
	Queues    []NetdevQueue
	QueuesErr error
}

// HardwareRings are the sizes of a NIC's rings in entries, as ethtool -g shows them.
type HardwareRings struct {
	TX, TXMax, RX, RXMax uint32
}

// Inspect looks at an interface of the calling thread's network namespace. The only error is that the interface is not
// found, ENODEV where it does not exist; facts that are merely unknown are no error.
func Inspect(ifname string) (Interface, error) {
	l, err := findLink(ifname, 0)
	if err != nil {
		return Interface{}, findError(ifname, err)
	}
	a := l.Attrs()
	i := Interface{
		Name: a.Name, Index: a.Index, Type: l.Type(), MTU: a.MTU,
		Up: a.Flags&net.FlagUp != 0, Running: a.Flags&net.FlagRunning != 0,
	}
	i.TxQueues, i.RxQueues = countQueues(a)
	i.Device, i.DeviceErr = DeviceOf(a.Index)
	i.Queues, i.QueuesErr = netdevQueues(a.Index)
	i.inspectDriver()
	return i, nil
}

// findError says what was looked for, and what to do about it.
func findError(ifname string, err error) error {
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("find interface %s: %w (no such interface in this network namespace: see ip link)", ifname, err)
	}
	return fmt.Errorf("find interface %s: %w", ifname, err)
}

func (i *Interface) inspectDriver() {
	e, err := ethtool.NewEthtool()
	if err != nil {
		i.HardwareRingsErr = err
		return
	}
	defer e.Close()
	if name, err := e.DriverName(i.Name); err == nil {
		i.Driver = name
	}
	r, err := e.GetRing(i.Name)
	if err != nil {
		i.HardwareRingsErr = notSupportedByDriver("hardware ring sizes", err)
		return
	}
	i.HardwareRings = HardwareRings{TX: r.TxPending, TXMax: r.TxMaxPending, RX: r.RxPending, RXMax: r.RxMaxPending}
}
