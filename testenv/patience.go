// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// patienceVariable is a factor on every limit that a test sets: 1, the default, for a machine that runs this code as
// fast as a usual one does; 10 suits a guest whose processor is emulated.
//
// It is set by hand and not measured: a machine that was fast when the tests started need not stay so, and a limit that
// depends on a measurement fails in ways that nobody can repeat.
const patienceVariable = "WSKXDP_PATIENCE"

// maxPatience keeps a slip of the finger from making a test that hangs hang for days.
const maxPatience = 100

var patience, patienceErr = parsePatience(os.Getenv(patienceVariable))

func parsePatience(s string) (float64, error) {
	if s == "" {
		return 1, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 1 && f <= maxPatience) {
		return 1, fmt.Errorf("%s=%q: want a number from 1 to %d", patienceVariable, s, maxPatience)
	}
	return f, nil
}

// Patience is how long to wait at most for what takes at most d on a machine of usual speed. Everything that only
// keeps a broken test from hanging, and every assertion that something did not take too long, goes through it once;
// [Eventually], [Context] and the set-up of laboratories do so themselves. Least times, and times that the code under
// test measures itself, do not.
func Patience(d time.Duration) time.Duration { return time.Duration(float64(d) * patience) }
