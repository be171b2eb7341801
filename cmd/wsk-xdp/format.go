// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"

	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
)

// formatFlags say where what a run has to say goes, and in what form.
type formatFlags struct {
	app    *app
	format output.Format
	json   bool
	file   string
	note   string
	quiet  quietness
	force  bool // may write over a file that is there
}

func (f *formatFlags) add(a *app, fl *pflag.FlagSet, schema string) {
	f.app = a
	fl.VarP(&f.quiet, "quiet", "q", "no live line; -qq: nothing but the exit code, and a sentence where it is 2 or 3")
	fl.Lookup("quiet").NoOptDefVal = "true"
	fl.Var(&f.format, "format", "standard output: table, document, or while it runs a JSON record or a row each second")
	fl.BoolVar(&f.json, "json", false, "one JSON document ("+schema+") instead of the table")
	fl.StringVarP(&f.file, "output", "o", "", "write the JSON document to this `file`, too; - is standard output, as --json")
	fl.StringVar(&f.note, "note", "", "a `text` of yours, which stands in the JSON document and in what report makes of it")
}

// addForce adds --force to a command that has no use of its own for it.
func (f *formatFlags) addForce(fl *pflag.FlagSet) {
	fl.BoolVar(&f.force, "force", false, "write over an output file that is there")
}

// check refuses two formats, makes --json the format, and finds out whether the file can be written.
func (f *formatFlags) check() error {
	if f.file == stdoutName {
		f.file, f.json = "", true
	}
	switch {
	case !f.json:
	case f.format != output.Human && f.format != output.Document:
		return exit.Usagef("--json and --format %v: give one", f.format)
	default:
		f.format = output.Document
	}
	if f.quiet.silent() {
		if f.format != output.Human {
			return exit.Usagef("-qq says nothing: leave --format %v out, or write the document to a file (-o)", f.format)
		}
		f.app.silent = true
	}
	return tryOutput(f.file, f.force)
}

// live is what the live line is written to, nil where there is to be none.
func (f *formatFlags) live() io.Writer {
	if f.quiet > 0 {
		return nil
	}
	return f.app.stderr
}

// head enters into the head of a report what the command line says about it.
func (f *formatFlags) head(h *host.Head) { h.Command, h.Note = f.app.line, f.note }

// quietness is how often --quiet was given: once leaves the live line out, twice everything. It implements pflag.Value.
type quietness uint8

// String is whether it was given.
func (q quietness) String() string {
	if q > 0 {
		return "true"
	}
	return "false"
}

// Type makes it a flag without a value.
func (q *quietness) Type() string { return "bool" }

// Set counts.
func (q *quietness) Set(s string) error {
	switch s {
	case "true":
		*q = min(*q+1, 2)
	case "false":
		*q = 0
	default:
		return errors.New("is neither true nor false")
	}
	return nil
}

func (q quietness) silent() bool { return q > 1 }

// toldIntervals is how many seconds whoever reads standard output may be behind.
const toldIntervals = 3600

// inBackground has values told by another goroutine, so that whoever reads standard output does not hold up the sender. end waits until all
// are told.
func inBackground[T any](told func(T)) (tell func(T), end func()) {
	values, done := make(chan T, toldIntervals), make(chan struct{})
	go func() {
		defer close(done)
		for v := range values {
			told(v)
		}
	}()
	return func(v T) { values <- v }, func() {
		close(values)
		<-done
	}
}

// told is standard output, and the file beside it.
type told struct {
	*output.Stream
	app  *app
	file string
}

// stream is where a run says what it has to say.
func (a *app) stream(f *formatFlags) *told {
	to := a.stdout
	if a.silent {
		to = io.Discard
	}
	return &told{output.NewStream(to, f.format), a, f.file}
}

// End writes the document to the file, if there is one, and ends standard output.
func (t *told) End(schema string, document any, tables ...*output.Table) error {
	var err error
	if t.file != "" {
		err = output.Save(t.file, document)
	}
	told := t.Stream.End(schema, document, tables...)
	t.app.ended = told == nil
	return errors.Join(err, told)
}
