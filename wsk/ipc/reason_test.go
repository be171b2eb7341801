// SPDX-License-Identifier: Apache-2.0

package ipc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// TestReasons: numbers rise, names are used once and say by their first part who refuses, and each has its sentence.
func TestReasons(t *testing.T) {
	parts := map[ipc.Reason][]string{
		1: {"policy"}, 2: {"limit"}, 3: {"port"}, 4: {"route", "neighbour", "mtu", "link", "device", "address"},
		5: {"protocol"}, 6: {"daemon"},
	}
	names := make(map[string]bool)
	last := ipc.ReasonNone
	for r := range ipc.Reasons() {
		name, sentence := r.String(), r.Sentence()
		part, _, _ := strings.Cut(name, ".")
		if r <= last || !slices.Contains(parts[r/100], part) {
			t.Errorf("%d %s comes after %d", r, name, last)
		}
		if names[name] {
			t.Errorf("%s: used twice", name)
		}
		if len(sentence) < 20 || !strings.HasSuffix(sentence, ".") {
			t.Errorf("%s: sentence %q", name, sentence)
		}
		names[name], last = true, r
	}
	if len(names) < 30 {
		t.Errorf("%d reasons", len(names))
	}
	if later := ipc.Reason(999); later.String() != "reason 999" || later.Sentence() != "" {
		t.Errorf("a reason of a later version is %q, %q", later, later.Sentence())
	}
	if ipc.ReasonNone.String() != "none" {
		t.Errorf("no reason is %q", ipc.ReasonNone)
	}
	for range ipc.Reasons() {
		break // must not panic
	}
}
