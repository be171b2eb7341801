// SPDX-License-Identifier: Apache-2.0

// Package cable lets a test inside a guest have the cables of the guest's network cards pulled and plugged: the carrier
// of a card is the host's to give and to take.
//
//	guest                                         host
//	[Set], the command cable ── "ID A down" ──▶ [Serve] ── set_link ──▶ QEMU
//	                         ◀── "ID ok" ─────
//
// The channel is a virtio serial port. A guest can ask for these two things and for nothing else. Where [Variable] is
// not in the environment there is no host to ask.
package cable
