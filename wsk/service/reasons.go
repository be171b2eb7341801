// SPDX-License-Identifier: Apache-2.0

package service

import (
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/wsk"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// reasonOf is what a status of the transport says by itself.
func reasonOf(status wsk.NTSTATUS) ipc.Reason {
	switch status {
	case wsk.STATUS_NETWORK_UNREACHABLE:
		return ipc.ReasonNoRoute
	case wsk.STATUS_HOST_UNREACHABLE:
		return ipc.ReasonUnresolved
	case wsk.STATUS_INVALID_BUFFER_SIZE:
		return ipc.ReasonMTU
	case wsk.STATUS_INVALID_ADDRESS_COMPONENT:
		return ipc.ReasonAddressNotLocal
	case wsk.STATUS_FILE_FORCED_CLOSED:
		return ipc.ReasonDeviceGone
	case wsk.STATUS_INTERNAL_ERROR:
		return ipc.ReasonInternal
	}
	return ipc.ReasonNone
}

// reasonOfBind is why a socket could not be bound to a port. mayBind says whether the kernel lets this process
// bind a port at all.
func reasonOfBind(status wsk.NTSTATUS, port uint16, mayBind func(port uint16) bool) (reason ipc.Reason, text string) {
	switch status {
	case wsk.STATUS_ADDRESS_ALREADY_EXISTS, wsk.STATUS_SHARING_VIOLATION:
		return ipc.ReasonPortInUse, ""
	case wsk.STATUS_ACCESS_DENIED:
		if port != 0 && !mayBind(port) {
			return ipc.ReasonNone, "ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE, which the daemon does not have"
		}
		return ipc.ReasonPortInUse, ""
	}
	return reasonOf(status), ""
}

// mayBind reports whether the kernel lets this process bind a port: it has CAP_NET_BIND_SERVICE, or the port takes no privilege.
func mayBind(port uint16) bool {
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil {
		if start, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && int(port) >= start {
			return true
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective>>unix.CAP_NET_BIND_SERVICE&1 != 0
}

// denials are the reasons of the last refusals of a socket's guard. The transport ends what waits for a destination
// with the guard's status; here the completion finds why.
type denials struct {
	mu   sync.Mutex
	next int
	last [16]denial
}

type denial struct {
	to     wsk.Destination
	reason ipc.Reason
}

func (d *denials) add(to *wsk.Destination, reason ipc.Reason) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.last {
		if d.last[i].to == *to {
			d.last[i].reason = reason
			return
		}
	}
	d.last[d.next] = denial{*to, reason}
	d.next = (d.next + 1) % len(d.last)
}

func (d *denials) find(to *wsk.Destination) ipc.Reason {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.last {
		if d.last[i].to == *to {
			return d.last[i].reason
		}
	}
	return ipc.ReasonNone
}

// scopeOf reads a zone, which is an interface index in decimal.
func scopeOf(zone string) uint32 {
	index, err := strconv.ParseUint(zone, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(index)
}
