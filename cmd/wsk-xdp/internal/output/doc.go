// SPDX-License-Identifier: Apache-2.0

// Package output writes what a command has to say: tables, one JSON document, a line that is rewritten.
package output
