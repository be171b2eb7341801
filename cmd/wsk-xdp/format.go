// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
)

// formatFlags say what standard output gets.
type formatFlags struct {
	format output.Format
	json   bool
}

func (f *formatFlags) add(fl *pflag.FlagSet, schema string) {
	fl.Var(&f.format, "format", "standard output: table, document, or while it runs a JSON record or a row each second")
	fl.BoolVar(&f.json, "json", false, "one JSON document ("+schema+") instead of the table")
}

// check refuses two formats, and makes --json the format.
func (f *formatFlags) check() error {
	switch {
	case !f.json:
	case f.format != output.Human && f.format != output.Document:
		return exit.Usagef("--json and --format %v: give one", f.format)
	default:
		f.format = output.Document
	}
	return nil
}

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

// stream is standard output.
func (a *app) stream(f *formatFlags) *output.Stream { return output.NewStream(a.stdout, f.format) }
