// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/footprint"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/latency"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/receive"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/scale"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// benchParts are the programs of the child processes of measurements. The task comes on standard input.
var benchParts = map[string]func(stdin io.Reader, stdout io.Writer) error{
	footprint.PartRest:  footprint.Rest,
	latency.PartEcho:    latency.Echo,
	latency.PartMeasure: latency.Measure,
	receive.PartReceive: receive.Receive,
	receive.PartSend:    receive.Send,
	scale.PartSend:      scale.Send,
	receive.PartEngine: func(stdin io.Reader, stdout io.Writer) error {
		return bench.Child(context.Background(), stdin, stdout)
	},
}

// benchPartCommand is a child process.
func (a *app) benchPartCommand() *cobra.Command {
	return &cobra.Command{
		Use: "part NAME", Hidden: true, Short: "Be a party of a measurement (used by bench itself)", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			part := benchParts[args[0]]
			if part == nil {
				var names []string
				for name := range benchParts {
					names = append(names, name)
				}
				slices.Sort(names)
				return exit.Usagef("part %q is none of %s", args[0], strings.Join(names, ", "))
			}
			return part(a.stdin, output.Raw(a.stdout))
		},
	}
}

// benchOutput is how a measurement's report is written.
type benchOutput struct {
	json, quiet, force bool
	file, note         string
}

func (o *benchOutput) add(fl *pflag.FlagSet, schema string) {
	o.addFile(fl)
	o.addJSON(fl, schema)
}

func (o *benchOutput) addFile(fl *pflag.FlagSet) {
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "no line for every run")
	fl.StringVarP(&o.file, "output", "o", "", "write the JSON document to this `file`, too; - is standard output, as --json")
	fl.StringVar(&o.note, "note", "", "a `text` of yours, which stands in the JSON document and in what report makes of it")
	fl.BoolVar(&o.force, "force", false, "write over an output file that is there")
}

func (o *benchOutput) addJSON(fl *pflag.FlagSet, schema string) {
	fl.BoolVar(&o.json, "json", false, "one JSON document ("+schema+") instead of the tables")
}

// stdoutName is the output file that is standard output.
const stdoutName = "-"

// onStdout is whether standard output gets the document, and nothing else.
func (o *benchOutput) onStdout() bool { return o.json || o.file == stdoutName }

// benchDocument is a report.
type benchDocument interface {
	WriteTable(w io.Writer) error
	SetNote(text string)
}

// document is what a measurement gave: a nil report becomes a nil document.
func document[R any, P interface {
	*R
	benchDocument
}](r P, err error) (benchDocument, error) {
	if r == nil {
		return nil, err
	}
	return r, err
}

// measurePart is measure for a measurement that has a laboratory, and network namespaces, of its own.
func (a *app) measurePart(ctx context.Context, o *benchOutput, child *[]string, run func(context.Context) (benchDocument, error)) error {
	if err := a.ownNetNS("this measurement"); err != nil {
		return err
	}
	if err := tryOutput(o.file, o.force); err != nil {
		return err
	}
	if err := testenv.Check(testenv.XDPProgram); errors.Is(err, fs.ErrPermission) {
		return exit.NotPossiblef("this measurement loads XDP programs, which takes CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN outside of user namespaces: sudo")
	}
	return a.measure(ctx, o, "part", child, run)
}

// measure runs a measurement and writes its report, also when it was interrupted. Its children are this program,
// started by the subcommand of bench that is named; child takes that command line.
func (a *app) measure(
	ctx context.Context, o *benchOutput, subcommand string, child *[]string, run func(context.Context) (benchDocument, error),
) error {
	if err := tryOutput(o.file, o.force); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, to start it again: %w", err)
	}
	*child = []string{self, "bench", subcommand}
	start := time.Now()
	r, err := run(ctx)
	if r == nil {
		return a.nothingMeasured(ctx, err)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		a.note("interrupted: what was measured until then")
		err = nil
	}
	if !o.quiet {
		a.note(fmt.Sprintf("took %v", time.Since(start).Round(time.Second)))
	}
	return errors.Join(a.writeReport(o, r), err)
}

// tryOutput finds out before a measurement of minutes whether its report can be written to the file. What is there
// stays as it is, and is refused unless it may be written over.
func tryOutput(path string, over bool) error {
	if path == stdoutName {
		return nil
	}
	return tryFile("output", path, over)
}

// tryFile is tryOutput for a file of another flag.
func tryFile(flag, path string, over bool) error {
	if path == "" {
		return nil
	}
	before, err := os.Stat(path)
	switch {
	case err == nil && before.IsDir():
		return exit.Usagef("--%s %s is a directory: name a file in it", flag, path)
	case err == nil && !before.Mode().IsRegular():
		return nil // opening a pipe would be seen at its other end
	case err == nil && !over:
		return exit.Usagef("--%s %s is there already: name another file, or say --force", flag, path)
	}
	how, fresh := os.O_WRONLY, errors.Is(err, fs.ErrNotExist)
	if fresh {
		if link, err := os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
			undo, err := makeBehind(path)
			if err != nil {
				return exit.Usagef("--%s: %w", flag, err)
			}
			return undo()
		}
		how |= os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(path, how, 0o666)
	if err != nil {
		return exit.Usagef("--%s: %w", flag, err)
	}
	err = file.Close()
	if fresh {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// makeBehind makes the file that a link names, which is not there yet. undo removes it, and nothing that the link names by then: whoever
// owns that could otherwise have root remove any file.
func makeBehind(link string) (undo func() error, err error) {
	name := link
	for range 40 { // as many links as the kernel follows
		dir, err := filepath.EvalSymlinks(filepath.Dir(name))
		if err != nil {
			return nil, err
		}
		to, err := os.Readlink(name)
		if err != nil { // this is no link any more
			return makeIn(dir, filepath.Base(name))
		}
		if name = to; !filepath.IsAbs(to) {
			name = filepath.Join(dir, to)
		}
	}
	return nil, fmt.Errorf("%s: too many links", link)
}

// makeIn makes a file in a directory, which undo looks for nowhere else.
func makeIn(dir, name string) (undo func() error, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return func() error { return errors.Join(root.Remove(name), root.Close()) }, file.Close()
}

// nothingMeasured is the error of a measurement without a report.
func (a *app) nothingMeasured(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		a.note("interrupted: nothing was measured until then")
		return nil
	case errors.Is(err, fs.ErrPermission):
		return exit.NotPossiblef("%w", err)
	}
	return err
}

func (a *app) writeReport(o *benchOutput, r benchDocument) error {
	r.SetNote(o.note)
	var errs []error
	if o.file != "" && o.file != stdoutName {
		errs = append(errs, output.Save(o.file, r))
	}
	if o.onStdout() {
		errs = append(errs, output.JSON(a.stdout, r))
	} else {
		errs = append(errs, r.WriteTable(a.stdout))
	}
	return errors.Join(errs...)
}
