// SPDX-License-Identifier: Apache-2.0

// Package check is what the configurations of measurements have in common: names of engines to choose from, and bounds.
package check
