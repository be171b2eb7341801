// SPDX-License-Identifier: Apache-2.0

package host

import "testing"

func TestProgram(t *testing.T) {
	for arg0, want := range map[string]string{
		"wsk-xdp": "wsk-xdp", "bin/wsk-xdp": "bin/wsk-xdp", "/opt/x/wsk-xdp": "/opt/x/wsk-xdp", "/proc/self/exe": "wsk-xdp", "": "wsk-xdp",
		"./main": "wsk-xdp", "/my dir/wsk-xdp": "wsk-xdp",
	} {
		if got := Program(arg0); got != want {
			t.Errorf("%q: %q, want %q", arg0, got, want)
		}
	}
}
