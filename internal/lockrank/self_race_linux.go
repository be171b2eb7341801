// SPDX-License-Identifier: Apache-2.0

//go:build race && (amd64 || arm64)

package lockrank

// self is the address of the runtime's descriptor of the calling goroutine: it does not move, and is another one's only
// after this one has ended.
func self() uintptr
