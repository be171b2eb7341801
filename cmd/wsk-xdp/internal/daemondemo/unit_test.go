// SPDX-License-Identifier: Apache-2.0

package daemondemo

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestCapabilities: the demo runs with what the unit has, neither more nor less.
func TestCapabilities(t *testing.T) {
	text, err := os.ReadFile("../../../../scripts/package/systemd/wsk-xdp.service")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]uintptr{
		"CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_BPF": unix.CAP_BPF,
		"CAP_PERFMON": unix.CAP_PERFMON, "CAP_IPC_LOCK": unix.CAP_IPC_LOCK,
	}
	for _, key := range []string{"AmbientCapabilities=", "CapabilityBoundingSet="} {
		var of []uintptr
		for line := range strings.Lines(string(text)) {
			if list, ok := strings.CutPrefix(strings.TrimSpace(line), key); ok {
				for _, name := range strings.Fields(list) {
					of = append(of, names[name])
				}
			}
		}
		if !slices.Equal(of, capabilities) {
			t.Errorf("%s %v, the demo %v", key, of, capabilities)
		}
	}
}

// TestEnding: a program that should have failed may have succeeded, and then there is no error to tell.
func TestEnding(t *testing.T) {
	for err, want := range map[error]string{nil: "exit code 0", os.ErrClosed: os.ErrClosed.Error()} {
		if got := ending(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
