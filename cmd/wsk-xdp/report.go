// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/report"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

type reportFlags struct {
	diff      bool
	threshold units.Share
	html      string
	csv       string
	force     bool
}

// defaultThreshold is how much less is not told from chance on a quiet machine.
const defaultThreshold = 5

func (a *app) reportCommand() *cobra.Command {
	f := reportFlags{threshold: units.PerCent(defaultThreshold)}
	c := &cobra.Command{
		Use:   "report FILE...",
		Short: "Show reports again, draw them, or compare two",
		Long: lines("Reads what blast, recv, replay, ping, echo and bench (receive, latency) have written with --json. Prints a table of each file,",
			"or writes a page with rate and loss over time and histograms (--html), or every figure in a row (--csv). --diff compares two",
			"files, the earlier one first: rates, and the times of ping and bench latency. Exit code 4 if one got worse by more than the",
			"threshold, or is not there any more."),
		Example: lines("  wsk-xdp report run.json --html run.html", "  wsk-xdp report --diff before.json after.json --threshold 3%"),

		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return exit.Usagef("give a file, as in %s run.json", c.CommandPath())
			case f.diff && len(args) != 2:
				return exit.Usagef("--diff compares two files: give the earlier and the later one")
			case !f.diff && c.Flags().Changed("threshold"):
				return exit.Usagef("--threshold goes with --diff")
			case f.diff && f.html+f.csv != "":
				return exit.Usagef("--diff prints a table: leave --html and --csv out")
			case f.html == stdoutName && f.csv == stdoutName:
				return exit.Usagef("--html - and --csv -: there is one standard output")
			}
			var all []*report.Document
			for _, path := range args {
				d, err := report.Read(path)
				if err != nil {
					return exit.Usagef("%w", err)
				}
				all = append(all, d)
			}
			switch {
			case f.diff:
				return a.compareReports(all[0], all[1], f.threshold)
			case f.html+f.csv != "":
				return errors.Join(a.writeDocuments(&f, "html", f.html, all, report.WritePage), a.writeDocuments(&f, "csv", f.csv, all, report.WriteCSV))
			}
			return report.WriteTables(a.stdout, all)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.diff, "diff", false, "compare the rates and times of two files, the earlier one first")
	fl.Var(&f.threshold, "threshold", "how much a rate may fall, or a time rise, before the exit code is 4")
	fl.StringVar(&f.html, "html", "", "write one page of HTML that needs no network to this `file`; - is standard output")
	fl.StringVar(&f.csv, "csv", "", "write every figure as a row of CSV to this `file`; - is standard output")
	fl.BoolVar(&f.force, "force", false, "write over a file that is there")
	return c
}

// compareReports prints what became of the rates, and is an error where one fell too far.
func (a *app) compareReports(before, after *report.Document, most units.Share) error {
	changes, err := report.Compare(before, after)
	if err != nil {
		return exit.Usagef("%w", err)
	}
	a.warn(report.Differences(before, after)...)
	if err := report.WriteChanges(a.stdout, changes); err != nil {
		return err
	}
	for _, c := range changes {
		switch {
		case c.Gone:
			return exit.Beyondf("%s is not in %s", c.Name, after.File)
		case c.Fall()*1e6 > float64(most):
			return exit.Beyondf("%s %s by %.1f %%, more than %v", c.Name, c.Word(), 100*c.Fall(), most)
		}
	}
	return nil
}

// writeDocuments writes to a file that is not there yet unless it may be written over. No name is none.
func (a *app) writeDocuments(f *reportFlags, flag, name string, all []*report.Document, write func(io.Writer, []*report.Document) error) error {
	switch name {
	case "":
		return nil
	case stdoutName:
		return write(output.Raw(a.stdout), all)
	}
	how := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !f.force {
		how |= os.O_EXCL
	}
	file, err := os.OpenFile(name, how, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return exit.Usagef("--%s %s is there already: name another file, or say --force", flag, name)
	case err != nil:
		return fmt.Errorf("write report: %w", err)
	}
	return errors.Join(write(file, all), file.Close())
}
