// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/blast"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/echo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/ping"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/recv"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/replay"
)

var update = flag.Bool("update", false, "write the golden files anew")

type doctorReport = doctor.Report

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// TestSchemas holds the keys and types of every JSON document to what was published: within a major version keys may be
// added, never renamed, removed or retyped.
func TestSchemas(t *testing.T) {
	for name, doc := range map[string]any{
		"send": sendReport{}, "blast": blast.Report{}, "doctor": doctor.Report{}, "lab": labReport{},
		"recv": recv.Report{}, "replay": replay.Report{}, "ping": ping.Report{}, "echo": echo.Report{}, "error": errorReport{},
	} {
		var got []string
		keys(reflect.TypeOf(doc), "", &got)
		slices.Sort(got)
		text := strings.Join(got, "\n") + "\n"
		path := filepath.Join("testdata", name+".keys")
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text); diff != "" {
			t.Errorf("%s: the document has changed (-published +now); go test -update if that is meant:\n%s", name, diff)
		}
		for _, key := range got {
			if key != strings.ToLower(key) {
				t.Errorf("%s: %s is not snake case", name, key)
			}
			if strings.Contains(key, "float") {
				t.Errorf("%s: %s is no integer", name, key)
			}
		}
	}
}

// keys lists the paths of a document's keys with the JSON type of each.
func keys(t reflect.Type, path string, out *[]string) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		*out = append(*out, path+" string")
	case t.Kind() == reflect.Pointer:
		keys(t.Elem(), path, out)
	case t.Kind() == reflect.Slice:
		keys(t.Elem(), path+"[]", out)
	case t.Kind() == reflect.Struct:
		for f := range t.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "-" {
				continue
			}
			if name == "" && f.Anonymous {
				keys(f.Type, path, out)
				continue
			}
			if name == "" {
				panic(fmt.Sprintf("%v.%s has no key", t, f.Name))
			}
			if options == "omitempty" {
				name += "?"
			}
			keys(f.Type, strings.TrimPrefix(path+"."+name, "."), out)
		}
	default:
		kind := t.Kind().String()
		switch {
		case strings.Contains(kind, "int"):
			kind = "integer"
		case strings.HasPrefix(kind, "float"):
			kind = "float"
		}
		*out = append(*out, path+" "+kind)
	}
}
