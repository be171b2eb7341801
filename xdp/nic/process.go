// SPDX-License-Identifier: Apache-2.0

//go:build linux

package nic

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// Process is a process as /proc shows it.
type Process struct {
	PID int
	// Name is what it calls itself (/proc/PID/comm), with what cannot be printed replaced.
	Name string
}

// String is "pid 123 (name)".
func (p Process) String() string {
	if p.Name == "" {
		return fmt.Sprintf("pid %d", p.PID)
	}
	return fmt.Sprintf("pid %d (%s)", p.PID, p.Name)
}

// socketUsers are the processes that have sockets, by the sockets' inodes.
type socketUsers struct {
	// The processes in open have a descriptor of the socket; those in rings have its rings mapped, which keeps an
	// AF_XDP socket alive when the descriptor is closed.
	open, rings map[uint32][]Process
	// denied is whether some process could not be looked into, for want of privilege.
	denied bool
}

// findSocketUsers looks through all processes under root, which is /proc. Of descriptors it keeps only those of wanted
// sockets, of mappings every one that only an AF_XDP socket can have. A process that ends meanwhile is left out.
func findSocketUsers(root string, wanted map[uint32]bool) (socketUsers, error) {
	u := socketUsers{open: map[uint32][]Process{}, rings: map[uint32][]Process{}}
	entries, err := os.ReadDir(root)
	if err != nil {
		return u, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		dir := filepath.Join(root, e.Name())
		fds, fdErr := openSockets(filepath.Join(dir, "fd"), wanted)
		maps, mapErr := mappedRings(filepath.Join(dir, "maps"))
		u.denied = u.denied || errors.Is(fdErr, fs.ErrPermission) || errors.Is(mapErr, fs.ErrPermission)
		if len(fds) == 0 && len(maps) == 0 {
			continue
		}
		p := Process{PID: pid, Name: processName(filepath.Join(dir, "comm"))}
		for ino := range fds {
			u.open[ino] = append(u.open[ino], p)
		}
		for ino := range maps {
			u.rings[ino] = append(u.rings[ino], p)
		}
	}
	return u, nil
}

// of are the processes that have a socket, the lowest number first.
func (u *socketUsers) of(inode uint32) []Process {
	return sortProcesses(slices.Concat(u.open[inode], u.rings[inode]))
}

func sortProcesses(list []Process) []Process {
	slices.SortFunc(list, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	return slices.CompactFunc(list, func(a, b Process) bool { return a.PID == b.PID })
}

func openSockets(dir string, wanted map[uint32]bool) (map[uint32]bool, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := map[uint32]bool{}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if ino, ok := socketInode(target); ok && wanted[ino] {
			found[ino] = true
		}
	}
	return found, nil
}

// socketName begins the name of a mapped socket.
var socketName = []byte("socket:[")

// mappedRings finds the sockets of which a ring is mapped at an offset that only AF_XDP has: AF_PACKET and TCP, which
// can be mapped too, know no offset like those. The RX ring has offset 0, but no socket is bound without a completion
// ring.
func mappedRings(path string) (map[uint32]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := map[uint32]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), socketName) {
			continue // nearly all of them
		}
		// address perms offset device inode pathname
		words := strings.Fields(lines.Text())
		if len(words) < 6 {
			continue
		}
		offset, err := strconv.ParseUint(words[2], 16, 64)
		if err != nil || offset < unix.XDP_PGOFF_TX_RING {
			continue
		}
		if ino, ok := socketInode(words[5]); ok {
			found[ino] = true
		}
	}
	return found, lines.Err()
}

// socketInode reads "socket:[123]". No file can have a name of this form in these places, where the names of files
// begin with a slash.
func socketInode(s string) (uint32, bool) {
	digits, ok := strings.CutPrefix(s, "socket:[")
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, "]")
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil
}

// processName makes what a process chose freely fit to be shown on a terminal.
func processName(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSuffix(string(b), "\n"))
}
