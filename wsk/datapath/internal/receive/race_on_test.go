// SPDX-License-Identifier: Apache-2.0

//go:build race

package receive

// raceEnabled: the race detector makes what runs many times over slow.
const raceEnabled = true
