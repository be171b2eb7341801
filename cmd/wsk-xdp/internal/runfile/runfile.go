// SPDX-License-Identifier: Apache-2.0

// Package runfile reads what a run is to be like from a JSON file: flags by their names, or the report of a run that is to be repeated.
package runfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Destination is the one key that is no flag: the argument of the command.
const Destination = "destination"

// mostBytes is more than the report of a day has.
const mostBytes = 256 << 20

// Setting is a flag, or the destination, and its value as it would be written on a command line.
type Setting struct{ Name, Value string }

// File is what a file says: Settings in their order, or Command, the words of a command line with the program's name and the command's.
type File struct {
	Settings []Setting
	Command  []string
}

// Read reads a file.
func Read(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(in, mostBytes+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	if len(text) > mostBytes {
		return nil, fmt.Errorf("%s is larger than any report of a run", path)
	}
	f, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

var errNoObject = errors.New(`it is no JSON object: write flags by their names, as in {"destination": "10.77.0.2:9000", "rate": "100k"}`)

// Parse reads the text of a file. A document with a schema is a report, whose command counts and nothing else.
func Parse(text []byte) (*File, error) {
	var report struct {
		Schema  string
		Command []string
	}
	if !json.Valid(text) || len(bytes.TrimSpace(text)) == 0 || bytes.TrimSpace(text)[0] != '{' {
		return nil, errNoObject
	}
	// A value of another kind is told below: a file of flags has no command, and its schema would be an unknown key.
	if err := json.Unmarshal(text, &report); err == nil && report.Schema != "" {
		switch {
		case !strings.HasPrefix(report.Schema, "wsk-xdp."):
			return nil, fmt.Errorf("it is %q, no report of wsk-xdp", report.Schema)
		case len(report.Command) == 0:
			return nil, fmt.Errorf("it is a %s without its command line, so that there is nothing to repeat", report.Schema)
		}
		return &File{Command: report.Command}, nil
	}
	f := &File{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	_, _ = d.Token() // the brace
	seen := map[string]bool{}
	for d.More() {
		key, _ := d.Token() // of text that is valid
		name, _ := key.(string)
		if seen[name] {
			return nil, fmt.Errorf("%q is in it twice", name)
		}
		seen[name] = true
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, errNoObject
		}
		word, err := wordOf(value)
		if err != nil {
			return nil, fmt.Errorf("%q %w", name, err)
		}
		f.Settings = append(f.Settings, Setting{name, word})
	}
	return f, nil
}

// wordOf is a value as it would be written on a command line.
func wordOf(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case bool:
		return fmt.Sprint(v), nil
	case []any:
		words := make([]string, len(v))
		for i, one := range v {
			if _, nested := one.([]any); nested {
				return "", errors.New("is a list of lists: write what would stand on the command line")
			}
			word, err := wordOf(one)
			if err != nil {
				return "", err
			}
			words[i] = word
		}
		return strings.Join(words, ","), nil
	case nil:
		return "", errors.New("has no value: leave it out")
	}
	return "", errors.New("is an object: write what would stand on the command line")
}
