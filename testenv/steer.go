// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ReceiveInOrder has one processor take all that the interface receives (RPS). Without it each processor that sends into a veth has a
// queue of its own at the other end, and what two of them have sent, one after the other, may change places there. Interfaces of one
// namespace share the queue, so that it holds between them too. The error is ErrNotSupported where the kernel can't, or this user
// may not look at the namespace's /sys.
func (i *Iface) ReceiveInOrder() error {
	err := i.ns.Do(func() error {
		sys, err := mountSysfs()
		if err != nil {
			return errors.Join(ErrNotSupported, err)
		}
		defer unix.Close(sys)
		queues, err := filepath.Glob(fmt.Sprintf("/proc/thread-self/fd/%d/class/net/%s/queues/rx-*/rps_cpus", sys, i.name))
		if err != nil || len(queues) == 0 {
			return errors.Join(ErrNotSupported, err)
		}
		for _, q := range queues {
			if err := os.WriteFile(q, []byte("1"), 0); err != nil {
				return errors.Join(ErrNotSupported, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("have one processor receive on %s: %w", i.name, err)
	}
	return nil
}

// mountSysfs is the /sys of the thread's network namespace, mounted nowhere.
func mountSysfs() (fd int, err error) {
	fs, err := unix.Fsopen("sysfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, os.NewSyscallError("fsconfig", err)
	}
	if fd, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("fsmount", err)
	}
	return fd, nil
}
