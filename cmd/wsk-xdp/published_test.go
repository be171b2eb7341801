// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/footprint"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/latency"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/receive"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/scale"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/preview"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/schema"
)

// published are the documents of which docs/schema has a schema.
var published = map[string]any{
	blast.Schema: blast.Report{}, recv.Schema: recv.Report{}, replay.Schema: replay.Report{}, doctor.Schema: doctor.Report{}, errorSchema: errorReport{},
	ping.Schema: ping.Report{}, echo.Schema: echo.Report{}, "wsk-xdp.send/1": sendReport{}, "wsk-xdp.lab/1": labReport{},
	bench.Schema: bench.Report{}, receive.Schema: receive.Report{}, latency.Schema: latency.Report{}, footprint.Schema: footprint.Report{},
	scale.Schema: scale.Report{}, preview.Schema: preview.Report{},
}

// docs is the directory of the documentation, also for a test that goes elsewhere.
var docs, errDocs = filepath.Abs("../../docs")

// schemaFile is where the schema of a document is.
func schemaFile(name string) string {
	return filepath.Join(docs, "schema", strings.ReplaceAll(strings.TrimPrefix(name, "wsk-xdp."), "/", "-")+".json")
}

// TestSchemasOfDocs holds the published schemas to the Go types, and to be of documents that there are.
func TestSchemasOfDocs(t *testing.T) {
	if errDocs != nil {
		t.Fatal(errDocs)
	}
	files := map[string]bool{}
	for name, document := range published {
		files[schemaFile(name)] = true
		var text bytes.Buffer
		if err := output.JSON(&text, schema.Of(reflect.TypeOf(document), name)); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(schemaFile(name), text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(schemaFile(name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text.String()); diff != "" {
			t.Errorf("%s is not what the document is (-published +now); go test -run TestSchemas -update:\n%s", schemaFile(name), diff)
		}
	}
	there, err := filepath.Glob(filepath.Join(docs, "schema", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if !files[path] {
			t.Errorf("%s is of no document", path)
		}
	}
}

// followsSchema holds what the program has written to the published schema of what it says that it is.
func followsSchema(t *testing.T, document []byte) {
	t.Helper()
	var says struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(document, &says); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(schemaFile(says.Schema))
	if errors.Is(err, fs.ErrNotExist) && published[says.Schema] == nil {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var s schema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	for _, fault := range s.Faults(document) {
		t.Errorf("%s: %s", says.Schema, fault)
	}
}

// TestSchemasOfMeasurements holds the measurements that are in the repository to the published schemas.
func TestSchemasOfMeasurements(t *testing.T) {
	for _, name := range []string{"rates", "latency", "receive-xdp", "receive-wsk-batch", "footprint"} {
		text, err := os.ReadFile(filepath.Join(docs, "bench", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		followsSchema(t, text)
	}
}
