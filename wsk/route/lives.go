// SPDX-License-Identifier: Apache-2.0

//go:build linux

package route

import (
	"os"

	"golang.org/x/sys/unix"
)

// lives tells whether a device is still the one that it was. Netlink can't: a device that was deleted and made again with the same
// index, name and MAC address looks the same, and when events are lost nothing tells that it was away.
//
// An open file of the device's settings (net.ipv4.conf.NAME) can: it dies with the device, reading it gives ENOENT, and no other
// device brings it back. It dies too when the device is renamed, or has its MTU below 68 for a while. Of the table's goroutine.
type lives struct {
	dir  *os.File // net.ipv4.conf of the namespace; nil: the settings can't be seen
	held map[int]life
}

// life is the file of one device.
type life struct {
	file *os.File
	name string
}

// livesLimit bounds the open files. Devices beyond it are told apart by what netlink says.
const livesLimit = 256

// follow opens files for devices that are new, or have a new name, and closes those of devices that are gone.
func (l *lives) follow(devices map[int]*Device) {
	for index, x := range l.held {
		if d := devices[index]; d == nil || d.Name != x.name {
			l.drop(index)
		}
	}
	for index, d := range devices {
		if _, ok := l.held[index]; ok || l.dir == nil || !d.Ethernet || d.Type == TypeLoopback || len(l.held) >= livesLimit {
			continue
		}
		fd, err := unix.Openat(int(l.dir.Fd()), d.Name+"/forwarding", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if l.held == nil {
			l.held = map[int]life{}
		}
		l.held[index] = life{os.NewFile(uintptr(fd), d.Name), d.Name}
	}
}

func (l *lives) drop(index int) {
	l.held[index].file.Close()
	delete(l.held, index)
}

func (l *lives) close() {
	for index := range l.held {
		l.drop(index)
	}
}

// same reports whether two descriptions with one index, read with events lost between, are of one device. When nothing tells, they
// are, unless hardly anything is the same.
func (l *lives) same(before, now Device) bool {
	x, held := l.held[before.Index]
	if held {
		if _, err := readNumber(x.file); err == nil {
			return true
		}
		l.drop(before.Index)
		if before.Name == now.Name {
			return false
		}
		// Renamed, or another device.
	}
	return before.Kind == now.Kind && (before.Name == now.Name || before.MAC == now.MAC)
}
