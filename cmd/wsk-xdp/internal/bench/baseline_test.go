// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBaselineRoundTrip(t *testing.T) {
	r := sampleReport(true)
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "then.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	then, err := ReadReport(path)
	if err != nil {
		t.Fatal(err)
	}
	// udp has doubled since: ours is half as good against it. Nothing else has changed.
	for i := range r.Results {
		if r.Results[i].Engine == "udp" {
			*r.Results[i].Ratio *= 2
		}
	}
	var out bytes.Buffer
	if err := r.WriteComparison(&out, then); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"64 1 wsk udp 2.00 1.00 -50 % slower", "64 1 wsk x 0.68 0.68 +0 %"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(text, "x 0.68 0.68 +0 % slower") || strings.Contains(text, "wsk wsk") {
		t.Errorf("too much in\n%s", out.String())
	}
}

func TestBaselineIsChecked(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"other": `{"schema":"wsk-xdp.blast/1"}`, "broken": `{"schema":`} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadReport(path); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := ReadReport(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there was taken")
	}
}
