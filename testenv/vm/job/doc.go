// SPDX-License-Identifier: Apache-2.0

// Package job is what the host and the agent inside a guest say to each other: a [Job] goes in with the initramfs, and
// lines with markers come out on a serial port, between which the output of each command stands as it was written.
package job
