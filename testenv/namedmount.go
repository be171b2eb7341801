// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A name is a mount on a file in namespaceDir. The first `ip netns add` mounts the directory on itself, to share it
// between mount namespaces, and copies the names that are there. Where / is shared (systemd), each name and its copy
// are unmounted together. Where it is not (containers, small guests), the first mount of each name stays below the
// copied directory, out of everybody's reach, and its file can't be removed for as long. So UpNamed mounts the
// directory before there are names, and DownNamed looks below what covers it.

// mostLayers bounds how many mounts may lie on namespaceDir.
const mostLayers = 8

// mount is one line of /proc/self/mountinfo.
type mount struct {
	point string // where it is mounted
	root  string // what of the file system; net:[inode] for a network namespace
}

func readMounts() ([]mount, error) {
	raw, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return parseMounts(string(raw)), nil
}

func parseMounts(text string) (out []mount) {
	for line := range strings.Lines(text) {
		// number, parent, device, root, mount point, …
		if f := strings.Fields(line); len(f) >= 5 {
			out = append(out, mount{point: unescapeMount(f[4]), root: unescapeMount(f[3])})
		}
	}
	return out
}

// unescapeMount undoes the octal form that blanks, newlines and backslashes have there.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// shareNamespaceDir mounts the directory of names on itself and shares it, as iproute2 does, unless it is a mount
// already or has names that would be copied.
func shareNamespaceDir() error {
	if mounted, err := isMounted(namespaceDir); err != nil || mounted {
		return err
	}
	names, err := os.ReadDir(namespaceDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if mounted, err := isMounted(namespacePath(name.Name())); err != nil || mounted {
			return err
		}
	}
	if err := unix.Mount(namespaceDir, namespaceDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s on itself: %w%s", namespaceDir, err, rootHint(err))
	}
	if err := unix.Mount("", namespaceDir, "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("share %s: %w%s", namespaceDir, err, rootHint(err))
	}
	return nil
}

// isMounted reports whether something is mounted at a path. /proc/self/mountinfo would also list what lies hidden below
// another mount.
func isMounted(path string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, os.NewSyscallError("statx "+path, err)
}

// unmount takes the name off the namespace and removes its file. What covers the directory of names is moved aside for
// a moment if the namespace is mounted below it, too.
func (ns namedNamespace) unmount() (err error) {
	path := namespacePath(ns.Name)
	var aside []string
	defer func() {
		for k := len(aside) - 1; k >= 0; k-- {
			err = errors.Join(err, moveMount(aside[k], namespaceDir), os.Remove(aside[k]))
		}
	}()
	for {
		mounted, err := ns.mounts()
		if err != nil {
			return err
		}
		if mounted == 0 {
			break
		}
		if ns.presence() == Present {
			if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w%s", path, err, rootHint(err))
			}
			continue
		}
		if len(aside) == mostLayers {
			return fmt.Errorf("unmount %s: it is still below %d mounts of %s", path, mostLayers, namespaceDir)
		}
		cover, err := os.MkdirTemp(stateDir, "cover-")
		if err != nil {
			return fmt.Errorf("uncover %s: %w", path, err)
		}
		if err := moveMount(namespaceDir, cover); err != nil {
			return errors.Join(fmt.Errorf("uncover %s: %w", path, err), os.Remove(cover))
		}
		aside = append(aside, cover)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// mounts counts how often the namespace is mounted at its name.
func (ns namedNamespace) mounts() (n int, err error) {
	all, err := readMounts()
	if err != nil {
		return 0, err
	}
	for _, m := range all {
		if m.point == namespacePath(ns.Name) && filepath.Base(m.root) == fmt.Sprintf("net:[%d]", ns.Inode) {
			n++
		}
	}
	return n, nil
}

func moveMount(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move mount %s to %s: %w", from, to, err)
	}
	return nil
}
