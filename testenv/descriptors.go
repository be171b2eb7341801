// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openDescriptors returns what each open descriptor of the process refers to, as /proc/self/fd names it.
func openDescriptors() map[int]string {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	out := map[int]string{}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd == int(dir.Fd()) {
			continue
		}
		if target, err := os.Readlink("/proc/self/fd/" + name); err == nil {
			out[fd] = target
		}
	}
	return out
}

var (
	socketFamilies = map[int]string{unix.AF_UNIX: "unix", unix.AF_INET: "IPv4", unix.AF_INET6: "IPv6",
		unix.AF_NETLINK: "netlink",
		unix.AF_PACKET:  "AF_PACKET", unix.AF_XDP: "AF_XDP"}
	socketTypes = map[int]string{unix.SOCK_STREAM: "stream", unix.SOCK_DGRAM: "datagram", unix.SOCK_RAW: "raw",
		unix.SOCK_SEQPACKET: "seqpacket"}
)

// describeDescriptor says more than /proc about sockets and namespaces, so that a leak points at who made it.
func describeDescriptor(fd int, target string) string {
	switch {
	case strings.HasPrefix(target, "net:["):
		return "network namespace " + target
	case strings.Contains(target, "bpf-"):
		return "BPF object " + target
	case !strings.HasPrefix(target, "socket:"):
		return target
	}
	domain, err1 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	kind, err2 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err1 != nil || err2 != nil {
		return target
	}
	text := fmt.Sprintf("%s %s %s", named(socketFamilies, domain), named(socketTypes, kind), target)
	if domain == unix.AF_INET || domain == unix.AF_INET6 {
		if sa, err := unix.Getsockname(fd); err == nil {
			text += " bound to " + addrPort(sa).String()
		}
	}
	return text
}

func named(names map[int]string, v int) string {
	if s, ok := names[v]; ok {
		return s
	}
	return strconv.Itoa(v)
}
