// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Kernel is a directory that scripts/vm/fetch.sh made of a kernel package.
type Kernel struct {
	// Name is what it was asked for by: newest, 6.12.
	Name string
	Dir  string
	// Release is what the kernel calls itself, Version the package's version.
	Release, Version string
}

// OpenKernel reads what dir says of itself.
func OpenKernel(name, dir string) (Kernel, error) {
	k := Kernel{Name: name, Dir: dir}
	for file, to := range map[string]*string{"release": &k.Release, "version": &k.Version} {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return k, fmt.Errorf("open kernel %s: %w", name, err)
		}
		*to = strings.TrimSpace(string(raw))
	}
	return k, nil
}

// Image returns the path of the kernel as an ELF file, which it unpacks the first time: QEMU starts that two times
// faster than the bzImage, whose own decompressor would run emulated.
func (k Kernel) Image(tools Toolbox) (string, error) {
	path := filepath.Join(k.Dir, "vmlinux")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	raw, err := os.ReadFile(filepath.Join(k.Dir, "vmlinuz"))
	if err != nil {
		return "", fmt.Errorf("unpack kernel: %w", err)
	}
	elf, err := unpackImage(raw, tools)
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", filepath.Join(k.Dir, "vmlinuz"), err)
	}
	if err := os.WriteFile(path+".new", elf, 0o644); err != nil {
		return "", fmt.Errorf("unpack kernel: %w", err)
	}
	return path, os.Rename(path+".new", path)
}

// compressions are those that Debian's kernels have had: how their data begins, and what undoes them. What follows the
// data in the image is not part of it; the programs complain about that after they have done their work.
var compressions = []struct {
	magic string
	tool  []string
}{
	{"\x28\xb5\x2f\xfd", []string{"zstd", "-dcq"}},
	{"\xfd7zXZ\x00", []string{"xz", "-dcq", "--single-stream"}},
	{"\x1f\x8b\x08", []string{"busybox", "gzip", "-dc"}},
}

func unpackImage(raw []byte, tools Toolbox) ([]byte, error) {
	var last error
	for _, c := range compressions {
		for at := 0; ; at++ {
			next := bytes.Index(raw[at:], []byte(c.magic))
			if next < 0 {
				break
			}
			at += next
			out, err := tools.Filter(raw[at:], c.tool[0], c.tool[1:]...)
			if bytes.HasPrefix(out, []byte("\x7fELF")) {
				return out, nil
			}
			last = err
		}
	}
	return nil, fmt.Errorf("no ELF image in it (last attempt: %w)", last)
}
