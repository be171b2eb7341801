// SPDX-License-Identifier: Apache-2.0

package row

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLeave(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WSKXDP_OUT", dir)
	want := []Row{{What: "send", Statuses: map[string]int{"STATUS_SUCCESS": 3}}, {What: "receive", Queues: 4}}
	for _, rows := range [][]Row{{{What: "before"}}, want} {
		if err := Leave("TestA/b", rows...); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "TestA-b"+Suffix))
	if err != nil {
		t.Fatal(err)
	}
	var got []Row
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	t.Setenv("WSKXDP_OUT", filepath.Join(dir, "gone"))
	if err := Leave("x"); err == nil {
		t.Error("no error where nothing can be written")
	}
	t.Setenv("WSKXDP_OUT", "")
	if err := Leave("x"); err != nil {
		t.Errorf("outside of a guest: %v", err)
	}
}
