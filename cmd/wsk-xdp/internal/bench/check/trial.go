// SPDX-License-Identifier: Apache-2.0

package check

import "time"

// Defaults of every measurement.
const (
	DefaultSize     = 64
	DefaultRuns     = 5
	DefaultDuration = time.Second
	DefaultWarmup   = 200 * time.Millisecond
	DefaultBusyPoll = 50 * time.Microsecond
)

// Trial is what the configurations share of the measurements that record for a while with frames of one size. They
// embed it.
type Trial struct {
	// Size is the frame size in bytes with FCS.
	Size int
	// Runs is the number of runs of every engine.
	Runs int
	// Duration is how long a run records, Warmup the time before it.
	Duration, Warmup time.Duration
	// BusyPoll is how long engines that poll busily let the driver run at a time.
	BusyPoll time.Duration
}
