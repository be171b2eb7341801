// SPDX-License-Identifier: Apache-2.0

package output

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Format is what standard output gets. It implements pflag.Value.
type Format uint8

// The formats: tables, one JSON document, a JSON record in each line while it goes on, and a row of CSV for each interval.
const (
	Human Format = iota
	Document
	Records
	Rows
)

var formatNames = [...]string{Human: "human", Document: "json", Records: "ndjson", Rows: "csv"}

// String is the word on the command line.
func (f Format) String() string { return formatNames[f] }

// Type names the form in help texts.
func (f *Format) Type() string { return strings.Join(formatNames[:], "|") }

// Set parses the word.
func (f *Format) Set(s string) error {
	for i, name := range formatNames {
		if s == name {
			*f = Format(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", s, strings.Join(formatNames[:], ", "))
}

// Stream writes what a run says in a format: its start, its intervals, its end. It is for one goroutine at a time. After an
// error it writes no more; End returns that.
type Stream struct {
	w      io.Writer
	format Format
	err    error
}

// NewStream writes to w.
func NewStream(w io.Writer, format Format) *Stream { return &Stream{w: w, format: format} }

// Record is a line of ndjson. What it holds goes by its kind.
type Record struct {
	Record string `json:"record"` // start, interval, and at last end, or error where it does not come to that
	Schema string `json:"schema"`
	// Config is of start, Interval of interval, Document of end and error.
	Config   any `json:"config,omitempty"`
	Interval any `json:"interval,omitempty"`
	Document any `json:"document,omitempty"`
}

func (s *Stream) record(r Record) {
	if s.err != nil {
		return
	}
	e := json.NewEncoder(Raw(s.w))
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		s.err = fmt.Errorf("write JSON: %w", err)
	}
}

// Begin tells how the run is configured, and what its intervals are: interval is any one of them.
func (s *Stream) Begin(schema string, config, interval any) {
	switch s.format {
	case Records:
		s.record(Record{Record: "start", Schema: schema, Config: config})
	case Rows:
		s.row(interval, func(key string, _ reflect.Value) string { return key })
	}
}

// Interval tells about an interval, a struct of plain values with keys in JSON.
func (s *Stream) Interval(schema string, i any) {
	switch s.format {
	case Records:
		s.record(Record{Record: "interval", Schema: schema, Interval: i})
	case Rows:
		s.row(i, func(_ string, value reflect.Value) string { return fmt.Sprint(value) })
	}
}

// row writes a cell for each field of a struct.
func (s *Stream) row(i any, cell func(key string, value reflect.Value) string) {
	if s.err != nil {
		return
	}
	w := csv.NewWriter(s.w)
	v := reflect.ValueOf(i)
	var cells []string
	for n := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(n).Tag.Get("json"), ",")
		cells = append(cells, cell(key, v.Field(n)))
	}
	_ = w.Write(cells) // Flush tells
	if w.Flush(); w.Error() != nil {
		s.err = fmt.Errorf("write CSV: %w", w.Error())
	}
}

// Fail writes, as the last record, what kept the run from its end.
func (s *Stream) Fail(schema string, document any) error {
	s.record(Record{Record: "error", Schema: schema, Document: document})
	return s.err
}

// End writes the document, or has tables written where people read.
func (s *Stream) End(schema string, document any, tables ...*Table) error {
	switch s.format {
	case Human:
		for _, t := range tables {
			if err := t.Write(s.w); err != nil {
				return err
			}
		}
	case Document:
		return JSON(s.w, document)
	case Records:
		s.record(Record{Record: "end", Schema: schema, Document: document})
	case Rows:
	}
	return s.err
}
