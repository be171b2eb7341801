// SPDX-License-Identifier: Apache-2.0

// Package row is what a test inside a guest leaves to be shown in docs/kernels.md: numbers that it measured with
// network cards. Outside of guests nothing is left.
package row
