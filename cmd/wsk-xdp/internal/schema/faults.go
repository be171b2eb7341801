// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Faults is what is wrong with a document, in words, each with where it is.
func (s *Schema) Faults(document []byte) []string {
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return []string{err.Error()}
	}
	return s.faults("", value)
}

func (s *Schema) faults(at string, value any) (out []string) {
	if len(s.Types) > 0 && !slices.ContainsFunc(typesOf(value), func(t string) bool { return slices.Contains(s.Types, t) }) {
		return []string{fmt.Sprintf("%s is %s, not %s", place(at), typesOf(value)[0], strings.Join(s.Types, " or "))}
	}
	switch v := value.(type) {
	case string:
		if s.Const != "" && v != s.Const {
			out = append(out, fmt.Sprintf("%s is %q, not %q", place(at), v, s.Const))
		}
	case json.Number:
		if s.Minimum != nil && *s.Minimum == 0 && strings.HasPrefix(v.String(), "-") {
			out = append(out, fmt.Sprintf("%s is negative: %v", place(at), v))
		}
	case []any:
		for i, one := range v {
			if s.Items != nil {
				out = append(out, s.Items.faults(fmt.Sprintf("%s[%d]", at, i), one)...)
			}
		}
	case map[string]any:
		out = s.objectFaults(at, v)
	}
	return out
}

func (s *Schema) objectFaults(at string, object map[string]any) (out []string) {
	for _, key := range s.Required {
		if _, ok := object[key]; !ok {
			out = append(out, fmt.Sprintf("%s has no %s", place(at), key))
		}
	}
	for key, value := range object {
		of := s.Properties[key]
		if of == nil {
			of = s.Values
		}
		switch {
		case of != nil:
			out = append(out, of.faults(strings.TrimPrefix(at+"."+key, "."), value)...)
		case len(s.Types) > 0:
			out = append(out, fmt.Sprintf("%s has %s, which the schema does not know", place(at), key))
		}
	}
	slices.Sort(out)
	return out
}

func place(at string) string {
	if at == "" {
		return "the document"
	}
	return at
}

// typesOf are the JSON types that a value has; a whole number has two.
func typesOf(value any) []string {
	switch v := value.(type) {
	case nil:
		return []string{"null"}
	case bool:
		return []string{"boolean"}
	case string:
		return []string{"string"}
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return []string{"number"}
		}
		return []string{"integer", "number"}
	case []any:
		return []string{"array"}
	}
	return []string{"object"}
}
