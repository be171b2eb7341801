// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"
)

type inner struct {
	Deep uint16 `json:"deep"`
}

type document struct {
	Schema string            `json:"schema"`
	At     time.Time         `json:"at"`
	N      int               `json:"n,omitempty"`
	Rate   *float64          `json:"rate"`
	Parts  []inner           `json:"parts"`
	Drops  map[string]uint64 `json:"drops"`
	Any    json.RawMessage   `json:"any,omitempty"`
	inner
	Not string `json:"-"`
}

const whole = `{"schema":"made.up/1","at":"2026-01-02T03:04:05Z","rate":null,"parts":[{"deep":1}],"drops":{"x":1},"deep":2}`

func TestSchema(t *testing.T) {
	s := Of(reflect.TypeFor[document](), "made.up/1")
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"made.up/1","type":"object",` +
		`"required":["schema","at","rate","parts","drops","deep"],"properties":{"any":{},"at":{"type":"string","format":"date-time"},` +
		`"deep":{"type":"integer","minimum":0},"drops":{"type":"object","additionalProperties":{"type":"integer","minimum":0}},` +
		`"n":{"type":"integer"},"parts":{"type":"array","items":{"type":"object","required":["deep"],` +
		`"properties":{"deep":{"type":"integer","minimum":0}}}},"rate":{"type":["number","null"]},` +
		`"schema":{"type":"string","const":"made.up/1"}}}`
	if string(text) != want {
		t.Errorf("schema\n%s, want\n%s", text, want)
	}
	var back Schema
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, s) {
		t.Errorf("read back: %+v, %v", back, err)
	}
	for doc, want := range map[string][]string{
		whole: nil,
		`{`:   {"unexpected EOF"},
		`[]`:  {"the document is array, not object"},
		`{"schema":"made.up/2","at":"","rate":1,"parts":[{"deep":-1},{"deep":1.5},{}],"drops":{"x":"y"},"deep":2,"any":[{"x":1}],"more":1}`: {
			"drops.x is string, not integer", "parts[0].deep is negative: -1", "parts[1].deep is number, not integer", "parts[2] has no deep",
			"schema is \"made.up/2\", not \"made.up/1\"", "the document has more, which the schema does not know",
		},
		`{"schema":"made.up/1","at":"","rate":"1","parts":null,"drops":{},"n":true}`: {
			"n is boolean, not integer", "parts is null, not array", "rate is string, not number or null", "the document has no deep",
		},
	} {
		if got := back.Faults([]byte(doc)); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", doc, got, want)
		}
	}
	if text, err = json.Marshal(document{Schema: "made.up/1", Parts: []inner{}, Drops: map[string]uint64{}}); err != nil {
		t.Fatal(err)
	}
	if faults := s.Faults(text); faults != nil {
		t.Errorf("%s: %q", text, faults)
	}
}
