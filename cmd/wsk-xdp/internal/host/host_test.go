// SPDX-License-Identifier: Apache-2.0

package host

import (
	"math"
	"testing"

	"golang.org/x/sys/unix"
)

func TestKernelVersion(t *testing.T) {
	for release, want := range map[string][2]int{
		"6.18.44-fc": {6, 18}, "5.4.0-150-generic": {5, 4}, "6.1": {6, 1}, "7.0-rc1": {7, 0}, "unknown": {0, 0}, "": {0, 0}, "6": {6, 0},
	} {
		if major, minor := KernelVersion(release); major != want[0] || minor != want[1] {
			t.Errorf("%q: %d.%d, want %v", release, major, minor, want)
		}
	}
	if major, _ := KernelVersion(Kernel()); major < 4 {
		t.Errorf("this kernel, %s, has major version %d", Kernel(), major)
	}
}

// CAP_IPC_LOCK lifts the limit in the first user namespace only: a check that forgets it refuses where the kernel does
// not, or the other way round.
func TestUnlimited(t *testing.T) {
	const ipcLock = 1 << unix.CAP_IPC_LOCK
	for _, c := range []struct {
		name string
		p    Privilege
		want bool
	}{
		{"small limit", Privilege{Memlock: 8 << 20, InitialUserNS: true}, false},
		{"no limit", Privilege{Memlock: math.MaxUint64}, true},
		{"capability", Privilege{Memlock: 8 << 20, Caps: ipcLock, InitialUserNS: true}, true},
		{"capability in a user namespace", Privilege{Memlock: 8 << 20, Caps: ipcLock}, false},
	} {
		if got := c.p.Unlimited(); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
