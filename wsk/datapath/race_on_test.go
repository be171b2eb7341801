// SPDX-License-Identifier: Apache-2.0

//go:build race

package datapath

// raceEnabled: pools drop items at random under the race detector.
const raceEnabled = true
