// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Privilege is what this process may do, as far as AF_XDP asks.
type Privilege struct {
	UID  int
	Caps uint64 // effective capabilities, a bit each
	// InitialUserNS is whether the process is in the first user namespace; the capabilities of another count only for
	// what belongs to that one, and not for programs in the kernel or locked memory.
	InitialUserNS bool
	// OwnNetNS is whether the network namespace belongs to the process's user namespace, so that its capabilities count
	// there.
	OwnNetNS bool
	// Memlock is RLIMIT_MEMLOCK in bytes, math.MaxUint64 for no limit.
	Memlock uint64
}

// ReadPrivilege reads what this process may do, in the network namespace of the calling thread.
func ReadPrivilege() Privilege {
	p := Privilege{UID: os.Geteuid(), Caps: effectiveCaps(), InitialUserNS: initialUserNS(), OwnNetNS: ownNetNS()}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err == nil {
		p.Memlock = limit.Cur
	}
	return p
}

// Has reports whether the process holds a capability where it counts: for cap on the network namespace.
func (p Privilege) Has(capability int) bool { return p.Caps>>capability&1 != 0 }

// HasGlobally reports whether it holds the capability in the first user namespace.
func (p Privilege) HasGlobally(capability int) bool { return p.Has(capability) && p.InitialUserNS }

// Unlimited is whether locked memory has no limit for this process: by the limit itself or by CAP_IPC_LOCK, which the
// kernel looks for in the first user namespace (net/xdp/xdp_umem.c, xdp_umem_account_pages).
func (p Privilege) Unlimited() bool {
	return p.Memlock == math.MaxUint64 || p.HasGlobally(unix.CAP_IPC_LOCK)
}

func effectiveCaps() uint64 {
	raw, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			var caps uint64
			if _, err := fmt.Sscanf(strings.TrimSpace(hex), "%x", &caps); err == nil {
				return caps
			}
		}
	}
	return 0
}

// initialUserNS: only the first user namespace maps every id to itself.
func initialUserNS() bool {
	raw, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return os.IsNotExist(err) // a kernel without user namespaces
	}
	f := strings.Fields(string(raw))
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295"
}

func ownNetNS() bool {
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &own); err != nil {
		return true
	}
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return false // the owner is outside of what this process may see
	}
	defer unix.Close(owner)
	var st unix.Stat_t
	return unix.Fstat(owner, &st) == nil && st.Ino == own.Ino && st.Dev == own.Dev
}
