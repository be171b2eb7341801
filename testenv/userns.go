// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrUserNamespace is wrapped when the machine does not let this user make a user namespace.
var ErrUserNamespace = errors.New("user namespaces are not available to this user")

// RunInUserNamespace runs a command, like cmd.Run, in a user and a network namespace of its own, where the present
// user is user 0: labs can be built there without privilege, XDP programs cannot be loaded. When this process dies,
// however it dies, the kernel kills the command, and with it go the namespaces.
//
// cmd.SysProcAttr must be nil. Where user namespaces are forbidden the error wraps ErrUserNamespace and says by what.
// An error of the command itself is an *exec.ExitError, as from cmd.Run.
func RunInUserNamespace(cmd *exec.Cmd) error {
	if cmd.SysProcAttr != nil {
		return errors.New("run in user namespace: SysProcAttr is already set")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	// The death signal comes when the starting thread ends, not the process: hold the thread until the command ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		if forbidsUserNamespace(err) {
			return fmt.Errorf("run in user namespace: %w (%w)%s", ErrUserNamespace, err, userNamespaceReason())
		}
		return fmt.Errorf("run in user namespace: %w", err)
	}
	return cmd.Wait()
}

// forbidsUserNamespace: what clone(2) and writing the id maps answer where user namespaces are switched off, used up
// or absent.
func forbidsUserNamespace(err error) bool {
	for _, errno := range []error{unix.EPERM, unix.ENOSPC, unix.EUSERS, unix.EINVAL, unix.ENOSYS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// userNamespaceReason names the setting that forbids user namespaces, if one of the known ones does.
func userNamespaceReason() string {
	for _, s := range []struct{ path, forbidding, remedy string }{
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces is 0"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone is 0"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
			"sysctl kernel.apparmor_restrict_unprivileged_userns is 1"},
	} {
		if raw, err := os.ReadFile(s.path); err == nil && strings.TrimSpace(string(raw)) == s.forbidding {
			return ": " + s.remedy
		}
	}
	return ""
}
