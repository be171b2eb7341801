// SPDX-License-Identifier: Apache-2.0

//go:build !race

package receive

// raceEnabled says that the race detector runs.
const raceEnabled = false
