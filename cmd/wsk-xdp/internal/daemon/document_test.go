// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/wsk/policy"
)

// TestDocument: the policy that docs/daemon.md shows is one, and its table of settings has every key.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/daemon.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```toml\n")
	shown, _, _ := strings.Cut(rest, "```")
	p, err := policy.Parse("docs/daemon.md", []byte(shown), policy.Host{User: func(string) (uint32, error) { return 1, nil }})
	if err != nil || len(p.Grants()) != 1 {
		t.Errorf("%v", err)
	}
	settings := reflect.TypeFor[Settings]()
	for i := range settings.NumField() {
		if key := settings.Field(i).Tag.Get("toml"); key != "" && !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("docs/daemon.md does not name the setting %s", key)
		}
	}
}
