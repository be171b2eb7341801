// SPDX-License-Identifier: Apache-2.0

// Package exit gives errors the exit code that the program ends with.
package exit
