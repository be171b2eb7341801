// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package pctest

// kernelControl is nil: control messages in the layout of Linux are there only.
var kernelControl func(c Conn) error
