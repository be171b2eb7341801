// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
)

// app is what every command has: the streams, and the flags of the root.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	netns   string
	verbose bool

	// line is the command line, with the name of the program.
	line []string

	// silent is whether nothing is said but by the exit code (-qq).
	silent bool

	// ended is set when a stream of records has its last one.
	ended bool

	// started is set when a command begins: errors before that are errors of the command line.
	started bool
}

// reported is an error whose text is on the terminal already.
type reported struct{ error }

// Unwrap returns the cause, which may carry an exit code.
func (r *reported) Unwrap() error { return r.error }

// logger is for the datapath. The commands say themselves what a user should know, so that without -v little is left.
func (a *app) logger() *slog.Logger {
	level := slog.LevelError
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
}

// withNetNS runs f with the namespace of --netns, nil for the process's own.
func (a *app) withNetNS(f func(*netns.NS) error) error {
	ns, err := netns.Open(a.netns)
	switch {
	case errors.Is(err, netns.ErrNotAllowed):
		return notAllowed(err)
	case err != nil:
		return exit.Usagef("--netns: %w", err)
	}
	defer ns.Close()
	return notAllowed(f(ns))
}

// notAllowed gives the refusal to open or enter a namespace its exit code.
func notAllowed(err error) error {
	if errors.Is(err, netns.ErrNotAllowed) {
		return exit.NotPossiblef("%w", err)
	}
	return err
}

// ownNetNS refuses --netns where a command has network namespaces of its own.
func (a *app) ownNetNS(what string) error {
	if a.netns != "" {
		return exit.Usagef("%s has network namespaces of its own: leave --netns out", what)
	}
	return nil
}

// note writes lines to standard error.
func (a *app) note(lines ...string) {
	if a.silent {
		return
	}
	for _, line := range lines {
		fmt.Fprintln(a.stderr, line)
	}
}

// noteIf writes those lines of a start block that say something.
func (a *app) noteIf(lines ...string) {
	for _, line := range lines {
		if line != "" {
			a.note(line)
		}
	}
}

// warn writes lines to standard error, marked.
func (a *app) warn(lines ...string) {
	for _, line := range lines {
		a.note("  ! " + line)
	}
}

// lines joins the lines of a help text.
func lines(text ...string) string { return strings.Join(text, "\n") }

// tallUsage is the usage of commands with more flags than a screen of usual size has lines: without empty lines, and with the flags of
// every command among their own.
const tallUsage = `Usage: {{.UseLine}}
Examples:
{{.Example}}{{if .HasAvailableSubCommands}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}
Flags:
{{.Flags.FlagUsages}}`
