// SPDX-License-Identifier: Apache-2.0

// Package vm runs commands in guests: other kernels than the host's, and network cards that the host does not have. It
// makes an initramfs from a kernel package and programs of this repository, boots it in QEMU without hardware support,
// and brings back each command's output and exit code, and the files that the commands left.
//
//	host                                  guest
//	┌─────────────────────────┐           ┌──────────────────────────────────┐
//	│ [Machine.Run]           │ initramfs │ agent (pid 1): modules, mounts,  │
//	│   [Job] ────────────────┼──────────▶│ one command after another        │
//	│   [Result] ◀────────────┼── ttyS1 ──┤ markers, output, exit codes      │
//	│   kernel log ◀──────────┼── ttyS0 ──┤ the kernel's messages            │
//	│   checkout ─────────────┼─ 9p, ro ─▶│ /src                             │
//	│   files ◀───────────────┼─ 9p ──────┤ /out                             │
//	│   QEMU's set_link ◀─────┼─ vport ───┤ cable A down, see package cable  │
//	└─────────────────────────┘           └──────────────────────────────────┘
//
// A guest has one of several [Setup]s of network cards, two ends of one wire each. The guest and its cards are slow and
// their timing means nothing: nothing in a guest may be judged by how long it took.
//
// scripts/vm fetches what is needed and is the way to start all this; docs/testing.md says how.
package vm
