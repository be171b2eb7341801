// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Whoever asked for a document gets one of an error, however that was asked for, and whoever asked for records a record.
func TestRefusalsAreDocuments(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(config, []byte(`{"json": true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"--json", "--format json", "-o -", "-o-", "-o=-", "--output -", "--output=-", "-qo-", "--config " + config,
		"-o - -r 1m", "--output=- -r 1m", // the flags are not parsed to their end
	} {
		r := cli(t.Context(), append([]string{"blast", "10.77.0.2:70000"}, strings.Fields(args)...)...)
		r.want(t, 2, "wsk-xdp blast: ")
		if doc := decode[errorReport](t, r); doc.Code != 2 || doc.ID != "usage" {
			t.Errorf("%s: %+v", args, doc)
		}
	}
	for _, args := range []string{
		"ping 10.77.0.2:70000 --format ndjson", "recv :70000 --format=ndjson", "echo :9 --format ndjson --delay 1m -q=x",
	} {
		r := cli(t.Context(), strings.Fields(args)...)
		r.want(t, 2)
		lastIsAnError(t, r.stdout, 1)
	}
	if r := cli(t.Context(), "blast", "10.77.0.2:70000", "-o", "-x"); r.stdout != "" {
		t.Errorf("nobody asked for a document: %v", r)
	}
}

// lastIsAnError holds standard output to so many records, the last of which is that of an error.
func lastIsAnError(t *testing.T, text string, n int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var last struct {
		Record, Schema string
		Document       json.RawMessage
	}
	for _, line := range lines {
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	if len(lines) != n || last.Record != "error" || last.Schema != errorSchema {
		t.Errorf("%d records: %s", len(lines), text)
	}
	followsSchema(t, last.Document)
}

// A stream of records that has begun ends with one, and with one only.
func TestRecordsEndWithAnError(t *testing.T) {
	for _, c := range []struct {
		ended bool
		n     int
	}{{false, 2}, {true, 2}} {
		var b bytes.Buffer
		a := &app{stdout: &b, stderr: &bytes.Buffer{}}
		out := a.stream(&formatFlags{app: a, format: output.Records})
		out.Begin("wsk-xdp.some/1", struct{}{}, struct{}{})
		if c.ended {
			if err := out.End("wsk-xdp.some/1", struct{}{}); err != nil {
				t.Fatal(err)
			}
		}
		any := true
		a.tellError(written{&b, &any}, output.Records, errorDocument("wsk-xdp some", errors.New("it broke")))
		if c.ended {
			if strings.Count(b.String(), "\n") != c.n || strings.Contains(b.String(), "it broke") {
				t.Errorf("behind the end: %s", &b)
			}
			continue
		}
		lastIsAnError(t, b.String(), c.n)
	}
}

// Documents are UTF-8 where the terminal is not, whichever flag sends them there, and text is not.
func TestDocumentsAreUTF8(t *testing.T) {
	_, netns := lab(t, testenv.Topology{Neighbours: testenv.Static})
	inASCII := func(args ...string) result {
		t.Helper()
		var stdout, stderr bytes.Buffer
		posix := func(string) string { return "C" }
		code := run(timeout(t), args, strings.NewReader(""), output.Plain(&stdout, posix), output.Plain(&stderr, posix))
		return result{code, stdout.String(), stderr.String()}
	}
	const note, plain = "5 ≥ 3 µs", "5 >= 3 us"
	file := filepath.Join(t.TempDir(), "run.json")
	blasting := []string{"blast", netns, "10.77.0.2:9000", "-n", "5", "--engine", "udp", "-q", "--note", note}
	for _, more := range [][]string{{"-o", "-"}, {"--json"}, {"-o-"}} {
		if doc := decode[preview.Report](t, inASCII(append(append(blasting, "--dry-run"), more...)...)); doc.Note != note {
			t.Errorf("%q: %q", more, doc.Note)
		}
	}
	inASCII(append(blasting, "--format", "ndjson", "-o", file)...).want(t, 0, `"note":"`+note+`"`)
	inASCII("report", file).want(t, 0, plain)
	inASCII("report", file, "--csv", "-").want(t, 0, note)
	inASCII("report", file, "--html", "-").want(t, 0, note)
}
