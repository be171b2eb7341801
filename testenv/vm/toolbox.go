// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Toolbox is a tree of unpacked Debian packages whose programs run without being installed: by the tree's own dynamic
// linker and libraries, so that they depend on nothing of the host but its kernel.
type Toolbox struct {
	Root string
}

const triplet = "x86_64-linux-gnu"

// Command prepares the program name of the toolbox, as exec.Command does.
func (t Toolbox) Command(name string, args ...string) (*exec.Cmd, error) {
	if name == "busybox" {
		path, err := t.Busybox()
		return exec.Command(path, args...), err
	}
	path, err := t.find("usr/bin/"+name, "bin/"+name, "usr/sbin/"+name)
	if err != nil {
		return nil, err
	}
	const name64 = "ld-linux-x86-64.so.2"
	linker, err := t.find("lib64/"+name64, "usr/lib64/"+name64, "lib/"+triplet+"/"+name64)
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, dir := range []string{"usr/lib/" + triplet, "lib/" + triplet} {
		dirs = append(dirs, filepath.Join(t.Root, dir))
	}
	cmd := exec.Command(linker, append([]string{"--library-path", strings.Join(dirs, ":"), path}, args...)...)
	cmd.Env = append(os.Environ(), "QEMU_MODULE_DIR="+filepath.Join(t.Root, "usr/lib", triplet, "qemu"))
	return cmd, nil
}

// Busybox is the path of the static busybox.
func (t Toolbox) Busybox() (string, error) { return t.find("bin/busybox", "usr/bin/busybox") }

// Firmware are the directories that hold QEMU's firmware.
func (t Toolbox) Firmware() []string {
	return []string{filepath.Join(t.Root, "usr/share/qemu"), filepath.Join(t.Root, "usr/share/seabios")}
}

// Filter runs a program on input and returns its output.
func (t Toolbox) Filter(input []byte, name string, args ...string) ([]byte, error) {
	cmd, err := t.Command(name, args...)
	if err != nil {
		return nil, err
	}
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

func (t Toolbox) find(candidates ...string) (string, error) {
	for _, c := range candidates {
		path := filepath.Join(t.Root, c)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s has no %s: fetch the tools again with WSKXDP_VM_REFRESH=1", t.Root, candidates[0])
}
