// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"os"

	"golang.org/x/sys/unix"
)

// DropsUnicastInLinkGroups reports whether the host drops a datagram to one of its unicast addresses that comes in on a device in a
// frame to a group or to every station (net.ipv4.conf.*.drop_unicast_in_l2_multicast; of IPv6 the device's own setting alone). The
// kernel announces no changes, so it is read each time, which takes about 10 µs. What can't be read is off, as it is by default.
func (t *Table) DropsUnicastInLinkGroups(ifindex int, is4 bool) bool {
	d, ok := t.Device(ifindex)
	if !ok {
		return false
	}
	if !is4 {
		return readsOn(t.sysctls.devices6, d.Name)
	}
	return readsOn(t.sysctls.devices, "all") || readsOn(t.sysctls.devices, d.Name)
}

// readsOn reads drop_unicast_in_l2_multicast of a device in a directory of settings.
func readsOn(dir *os.File, device string) bool {
	if dir == nil {
		return false
	}
	raw, err := dir.SyscallConn()
	if err != nil {
		return false
	}
	var value int32
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.Openat(int(fd), device+"/drop_unicast_in_l2_multicast", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		f := os.NewFile(uintptr(n), device)
		defer f.Close()
		value, _ = readNumber(f)
	})
	return value != 0
}
