// SPDX-License-Identifier: Apache-2.0

package stamp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Clock reads CLOCK_MONOTONIC, in nanoseconds, of which a stamp has 48 bits. It is as fast as time.Now.
type Clock struct {
	base  uint64
	begun time.Time
}

// NewClock begins to read.
func NewClock() (Clock, error) {
	var ts unix.Timespec
	before := time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return Clock{}, fmt.Errorf("read the monotonic clock: %w", err)
	}
	return Clock{base: uint64(ts.Nano()), begun: before.Add(time.Since(before) / 2)}, nil
}

// Now is the time of now.
func (c *Clock) Now() uint64 { return c.At(time.Now()) }

// At is the time of a moment that time.Now has read.
func (c *Clock) At(t time.Time) uint64 { return (c.base + uint64(t.Sub(c.begun))) & Mask }

// Identity is a word that two processes have in common if they read the same clock: the same boot of a machine, and the
// same time namespace. It is empty where that is not known. It tells nothing else about the machine.
func Identity() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	namespace, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		namespace = "" // a kernel that has none
	}
	sum := sha256.Sum256(append(boot, namespace...))
	return hex.EncodeToString(sum[:8])
}
