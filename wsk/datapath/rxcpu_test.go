// SPDX-License-Identifier: Apache-2.0

package datapath

import (
	"strings"
	"testing"
)

// TestReceiveCPUsRefused: a processor that this process may not use is refused, and named.
func TestReceiveCPUsRefused(t *testing.T) {
	for _, cpu := range []int{-1, 1023, 1 << 20} {
		dp, err := Open(Options{ReceiveCPUs: []int{cpu}})
		if err == nil {
			dp.Close()
			t.Fatalf("processor %d was taken", cpu)
		}
		if !strings.Contains(err.Error(), "may use") {
			t.Errorf("processor %d: %v", cpu, err)
		}
	}
}
