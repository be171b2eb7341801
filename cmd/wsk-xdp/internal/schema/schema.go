// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Dialect is the version of JSON Schema.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// Schema is a JSON Schema, as far as our documents need it.
type Schema struct {
	Dialect  string   `json:"$schema,omitempty"`
	Title    string   `json:"title,omitempty"`
	Types    Types    `json:"type,omitempty"`
	Const    string   `json:"const,omitempty"`
	Format   string   `json:"format,omitempty"`
	Minimum  *int     `json:"minimum,omitempty"`
	Required []string `json:"required,omitempty"`
	// Properties are the keys of an object, Values what is under the keys of a map.
	Properties map[string]*Schema `json:"properties,omitempty"`
	Values     *Schema            `json:"additionalProperties,omitempty"`
	Items      *Schema            `json:"items,omitempty"`
}

// Types are the JSON types that a value may have; none is any.
type Types []string

// MarshalJSON writes a single type without brackets.
func (t Types) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

// UnmarshalJSON reads both forms.
func (t *Types) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*t = make(Types, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// Of is the schema of the documents that a type makes, which say name under the key schema.
func Of(t reflect.Type, name string) *Schema {
	s := of(t)
	s.Dialect, s.Title = Dialect, name
	s.Properties["schema"].Const = name
	return s
}

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType = reflect.TypeFor[json.Marshaler]()
)

func of(t reflect.Type) *Schema {
	switch {
	case t == timeType:
		return &Schema{Types: Types{"string"}, Format: "date-time"}
	case t == rawType || t.Kind() == reflect.Interface:
		return &Schema{}
	case t.Implements(jsonType):
		panic(fmt.Sprintf("schema: what %v makes of itself is not known", t))
	case t.Implements(textType):
		return &Schema{Types: Types{"string"}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return of(t.Elem())
	case reflect.Struct:
		s := &Schema{Types: Types{"object"}, Properties: map[string]*Schema{}}
		s.fields(t)
		return s
	case reflect.Map:
		return &Schema{Types: Types{"object"}, Values: of(t.Elem())}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Types: Types{"string"}} // base64
		}
		return &Schema{Types: Types{"array"}, Items: of(t.Elem())}
	case reflect.String:
		return &Schema{Types: Types{"string"}}
	case reflect.Bool:
		return &Schema{Types: Types{"boolean"}}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &Schema{Types: Types{"integer"}}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Schema{Types: Types{"integer"}, Minimum: new(0)}
	case reflect.Float32, reflect.Float64:
		return &Schema{Types: Types{"number"}}
	}
	panic(fmt.Sprintf("schema: %v has no form in JSON", t))
}

// fields adds the keys of a struct, those of what it embeds included.
func (s *Schema) fields(t reflect.Type) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case name == "" && f.Anonymous:
			s.fields(f.Type)
			continue
		case name == "":
			name = f.Name
		}
		one := of(f.Type)
		if options != "omitempty" && options != "omitzero" {
			s.Required = append(s.Required, name)
			if f.Type.Kind() == reflect.Pointer {
				one.Types = append(one.Types, "null")
			}
		}
		s.Properties[name] = one
	}
}
