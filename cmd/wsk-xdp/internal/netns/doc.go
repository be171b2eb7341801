// SPDX-License-Identifier: Apache-2.0

// Package netns works in another network namespace than the process's own.
package netns
