// SPDX-License-Identifier: Apache-2.0

package tally

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Source and objects are those that scripts/generate.sh has recorded, so that an edit without regeneration is seen where there is no clang.
func TestObjectsWereMadeFromThisSource(t *testing.T) {
	record, err := os.ReadFile("wsktally.sum")
	if err != nil {
		t.Fatal(err)
	}
	recorded, present := map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(record)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		recorded[name] = sum
	}
	for _, pattern := range []string{"*.c", "../../../../bpf/headers/*.h", "gen.go", "wsktally_bpfe[lb].go", "wsktally_bpfe[lb].o"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			present[name] = hex.EncodeToString(sum[:])
		}
	}
	if !maps.Equal(recorded, present) {
		t.Errorf("run scripts/generate.sh and commit all of this directory: recorded\n%v\nare\n%v", recorded, present)
	}
}
