// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Counter is a number that a child counts up and its parent looks at, in memory that both share.
type Counter struct {
	file *os.File
	mem  []byte
	n    *atomic.Uint64
}

// ChildCounter is the descriptor of the counter in a child that was started with one file.
const ChildCounter = 3

// NewCounter makes a counter at 0.
func NewCounter() (*Counter, error) {
	fd, err := unix.MemfdCreate("wsk-xdp count", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create shared memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "count")
	if err := file.Truncate(int64(os.Getpagesize())); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return mapCounter(file)
}

// OpenCounter opens, in the child, the counter of its parent.
func OpenCounter() (*Counter, error) { return mapCounter(os.NewFile(ChildCounter, "count")) }

func mapCounter(file *os.File) (*Counter, error) {
	if file == nil {
		return nil, errors.New("map shared memory: no descriptor")
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map shared memory: %w", err), file.Close())
	}
	return &Counter{file, mem, (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem)))}, nil
}

// File is passed to StartChild.
func (c *Counter) File() *os.File { return c.file }

// Add counts n more.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Load is the number now.
func (c *Counter) Load() uint64 { return c.n.Load() }

// Close gives the memory back.
func (c *Counter) Close() error { return errors.Join(unix.Munmap(c.mem), c.file.Close()) }
