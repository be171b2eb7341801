// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"strings"
	"testing"
	"time"
)

func TestPatience(t *testing.T) {
	for value, want := range map[string]float64{"": 1, "1": 1, "2.5": 2.5, "100": 100} {
		if got, err := parsePatience(value); got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", value, got, err, want)
		}
	}
	for _, value := range []string{"0", "0.5", "-3", "101", "NaN", "Inf", "ten", "3x"} {
		got, err := parsePatience(value)
		if got != 1 || err == nil || !strings.Contains(err.Error(), patienceVariable) {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
	defer func(f float64) { patience = f }(patience)
	patience = 3
	if got := Patience(2 * time.Second); got != 6*time.Second {
		t.Errorf("three times two seconds are %v", got)
	}
	if deadline, ok := Context(t, time.Minute).Deadline(); !ok || time.Until(deadline) < 2*time.Minute {
		t.Errorf("a context of three times a minute ends in %v", time.Until(deadline))
	}
}
