// SPDX-License-Identifier: Apache-2.0

package device

import (
	"testing"
	"time"
)

// TestZeroCopyIsAskedAgain: a queue that had zero-copy is not content with copy mode at the first refusal.
func TestZeroCopyIsAskedAgain(t *testing.T) {
	var z zeroCopy
	now := time.Now()
	if z.retry(0, now) || z.hadGranted(0) {
		t.Error("it wants again what it never had")
	}
	z.noteGranted(0)
	if !z.hadGranted(0) || z.hadGranted(1) {
		t.Error("queue 0 had zero-copy, queue 1 had not")
	}
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {zeroCopyRetry / 2, true}, {zeroCopyRetry, false}, {zeroCopyRetry + 1, false}} {
		if got := z.retry(0, now.Add(c.after)); got != c.want {
			t.Errorf("%v after the first refusal: %v, want %v", c.after, got, c.want)
		}
	}
	if z.retry(1, now) {
		t.Error("queue 1 wants again what queue 0 had")
	}
	z.noteGranted(0)
	if !z.retry(0, now.Add(time.Hour)) {
		t.Error("what was granted again is not wanted again")
	}
}
