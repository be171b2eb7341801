// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Each capability is tried once per process.
var (
	rootOnce       = sync.OnceValue(isRoot)
	netNSOnce      = sync.OnceValue(probeNetNS)
	afxdpOnce      = sync.OnceValue(probeAFXDP)
	xdpProgramOnce = sync.OnceValue(probeXDPProgram)
)

func probe(c Capability) error {
	switch c {
	case Root:
		return rootOnce()
	case NetNS:
		return netNSOnce()
	case AFXDP:
		return afxdpOnce()
	default:
		return xdpProgramOnce()
	}
}

// initialUserNamespace is the inode number of the first user namespace, the same on every boot (PROC_USER_INIT_INO in
// include/linux/proc_ns.h).
const initialUserNamespace = 0xEFFFFFFD

// isRoot: user 0 of a user namespace is root only over what that namespace owns, and its id map does not tell: one that
// root made maps 0 to 0 too.
func isRoot() error {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Errorf("user id is %d", uid)
	}
	var st unix.Stat_t
	err := unix.Stat("/proc/self/ns/user", &st)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil // a kernel without user namespaces
	case err != nil:
		return fmt.Errorf("stat user namespace: %w", err)
	case st.Ino != initialUserNamespace:
		return errors.New("user 0 of a user namespace is not root")
	}
	return nil
}

func probeNetNS() error {
	lab, err := NewLab(Topology{})
	if err != nil {
		return err
	}
	return lab.Close()
}

func probeAFXDP() error {
	ns, err := NewNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	fd, err := ns.Socket(unix.AF_XDP, unix.SOCK_RAW, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func probeXDPProgram() error {
	lab, err := NewLab(Topology{})
	if err != nil {
		return err
	}
	defer lab.Close()
	prog, _, err := loadXDP("wsk_probe", 0, asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()})
	if err != nil {
		return err
	}
	defer prog.Close()
	l, err := attachXDP(lab.B.If, prog, false)
	if err != nil {
		return err
	}
	return l.Close()
}
