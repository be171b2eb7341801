// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTableFulls(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    uint64
	}{
		"two processors": {"entries  allocs table_fulls\n00000004 00000001 00000010\n00000004 00000002 0000000a\n", 26},
		"an old kernel":  {"entries  allocs\n00000004 00000001\n", 0},
		"cut":            {"entries  allocs table_fulls\n00000004 00000001\n", 0},
		"no number":      {"table_fulls\nzzz\n", 0},
		"empty":          {"", 0},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "arp_cache"), []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := tableFulls(dir, true); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
		if got := tableFulls(dir, false); got != 0 {
			t.Errorf("%s: %d of a table that is not told of", name, got)
		}
	}
}
