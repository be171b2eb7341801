// SPDX-License-Identifier: Apache-2.0

// Package proc runs the parties of a measurement as processes of their own, in network namespaces, and looks at them
// from outside: CPU time, memory, descendants.
//
// A child is this binary again. The first line of its standard input is its task in JSON; it answers with JSON objects
// on standard output, and ends when standard input does, which also happens when the parent is gone. Programs of others
// are started by the shell and stopped by SIGTERM.
package proc
