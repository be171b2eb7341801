// SPDX-License-Identifier: Apache-2.0

// Package units reads and writes the quantities of the command line: counts, packet rates, bit rates, durations.
package units
