// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mapping is a shared mapping of a socket: an AF_XDP or AF_PACKET ring.
type mapping struct {
	start, end uintptr
	inode      uint64
}

// socketMappings lists the socket mappings of the process. A mapping keeps its socket, the socket its queue and its
// namespace, even when no descriptor is left.
func socketMappings() []mapping {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []mapping
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// start-end perms offset dev inode path
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || !strings.HasPrefix(fields[5], "socket:") {
			continue
		}
		from, to, ok := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		inode, err3 := strconv.ParseUint(fields[4], 10, 64)
		if !ok || errors.Join(err1, err2, err3) != nil {
			continue
		}
		out = append(out, mapping{uintptr(start), uintptr(end), inode})
	}
	return out
}

func (m mapping) unmap() error {
	if _, _, errno := unix.Syscall(unix.SYS_MUNMAP, m.start, m.end-m.start, 0); errno != 0 {
		return fmt.Errorf("unmap ring: %w", errno)
	}
	return nil
}

// unmapOrphans unmaps socket mappings that were not there before and whose socket has no descriptor: what a failed
// xdp.NewSocket leaves. Others may open sockets at the same moment; theirs have a descriptor.
func unmapOrphans(before []mapping) {
	known := map[uint64]bool{}
	for _, m := range before {
		known[m.inode] = true
	}
	for _, m := range socketMappings() {
		if known[m.inode] || socketHasDescriptor(m.inode) {
			continue
		}
		_ = m.unmap() // nothing to be done, and the caller has an error already
	}
}

func socketHasDescriptor(inode uint64) bool {
	name := fmt.Sprintf("socket:[%d]", inode)
	for _, target := range openDescriptors() {
		if target == name {
			return true
		}
	}
	return false
}
