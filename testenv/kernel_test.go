// SPDX-License-Identifier: Apache-2.0

package testenv

import "testing"

func TestReleases(t *testing.T) {
	for release, want := range map[string]bool{
		"6.9.0": false, "6.10": true, "6.10.0-rc1": true, "6.11-rc3+": true, "7.0.1-amd64": true, "5.99": false, "": false, "six": false,
	} {
		if got := releaseAtLeast(release, 6, 10); got != want {
			t.Errorf("%q is at least 6.10: %v", release, got)
		}
	}
	if !KernelAtLeast(5, 10) || KernelAtLeast(1000, 0) {
		t.Error("the running kernel is none of those that are supported")
	}
}
