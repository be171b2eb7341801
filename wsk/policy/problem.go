// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// An Error is one thing wrong in a policy file.
type Error struct {
	File         string
	Line, Column int // from 1; the column counts bytes
	Text         string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text) }

// Errors are all things wrong in a policy file, in the order of their places.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// problems collects Errors.
type problems struct {
	file   string
	errors Errors
}

// add notes what is wrong at a place.
func (p *problems) add(at position, format string, args ...any) {
	p.errors = append(p.errors, &Error{p.file, at.line, at.column, fmt.Sprintf(format, args...)})
}

// addDecode notes what package toml has found.
func (p *problems) addDecode(err error) {
	var strict *toml.StrictMissingError
	var decode *toml.DecodeError
	switch {
	case errors.As(err, &strict):
		for i := range strict.Errors {
			line, column := strict.Errors[i].Position()
			p.add(position{line, column}, "there is no key %s", strings.Join(strict.Errors[i].Key(), "."))
		}
	case errors.As(err, &decode):
		line, column := decode.Position()
		text := strings.TrimPrefix(decode.Error(), "toml: ")
		if kind := wrongType.FindStringSubmatch(text); kind != nil {
			text = fmt.Sprintf("%s may not be of the TOML type %s", strings.Join(decode.Key(), "."), kind[1])
		}
		p.add(position{line, column}, "%s", text)
	default:
		p.add(position{1, 1}, "%s", strings.TrimPrefix(err.Error(), "toml: "))
	}
}

// wrongType is how package toml says what it says in terms of Go.
var wrongType = regexp.MustCompile(`^cannot (?:decode|store) (?:TOML |an? )?((?:array |inline )?\w+)`)

// err is nil when there is nothing wrong.
func (p *problems) err() error {
	if len(p.errors) == 0 {
		return nil
	}
	slices.SortStableFunc(p.errors, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p.errors
}
