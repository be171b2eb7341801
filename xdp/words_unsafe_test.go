// SPDX-License-Identifier: Apache-2.0

//go:build linux

package xdp

import "unsafe"

// wordAt reads the first word of a mapping: the producer, in the scripted kernel's offsets.
func wordAt(b *byte) *uint32 { return (*uint32)(unsafe.Pointer(b)) }
