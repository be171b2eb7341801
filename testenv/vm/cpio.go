// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"
)

// Archive writes an initramfs: a cpio archive of the "newc" kind, as Linux's
// Documentation/driver-api/early-userspace/buffer-format.rst has it. Directories come into being as they are needed.
// Not for concurrent use; the first error stays.
type Archive struct {
	w    *bufio.Writer
	ino  int
	pos  int
	made map[string]bool
	err  error
}

// NewArchive starts an archive on w, which stays the caller's.
func NewArchive(w io.Writer) *Archive {
	return &Archive{w: bufio.NewWriterSize(w, 1<<20), made: map[string]bool{"": true}}
}

// File modes of cpio, which are those of stat(2).
const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
)

// Dir adds a directory and those above it.
func (a *Archive) Dir(name string) {
	name = clean(name)
	if a.made[name] {
		return
	}
	a.Dir(path.Dir(name))
	a.made[name] = true
	a.entry(name, modeDir|0o755, nil)
}

// File adds a file. perm is such as 0o755.
func (a *Archive) File(name string, perm int, data []byte) {
	name = clean(name)
	a.Dir(path.Dir(name))
	a.entry(name, modeFile|perm, data)
}

// Symlink adds a symbolic link to target.
func (a *Archive) Symlink(name, target string) {
	name = clean(name)
	a.Dir(path.Dir(name))
	a.entry(name, modeLink|0o777, []byte(target))
}

// Close ends the archive and returns the first error of all.
func (a *Archive) Close() error {
	a.entry("TRAILER!!!", 0, nil)
	if err := a.w.Flush(); a.err == nil && err != nil {
		a.err = err
	}
	if a.err != nil {
		return fmt.Errorf("write initramfs: %w", a.err)
	}
	return nil
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func (a *Archive) entry(name string, mode int, data []byte) {
	if name == "" {
		return // the root is there already
	}
	if len(data) > 0xffffffff {
		a.fail(fmt.Errorf("%s: %d bytes are more than the format can say", name, len(data)))
		return
	}
	a.ino++
	// magic, inode, mode, uid, gid, links, mtime, size, device (2), rdev (2), length of name, check
	a.write(fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0))
	a.write([]byte(name + "\x00"))
	a.pad()
	a.write(data)
	a.pad()
}

func (a *Archive) pad() { a.write(make([]byte, -a.pos&3)) }

func (a *Archive) write(p []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(p)
	a.pos += n
	a.fail(err)
}

func (a *Archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}
