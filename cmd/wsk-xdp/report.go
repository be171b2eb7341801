// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/report"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

type reportFlags struct {
	diff      bool
	threshold units.Share
	html      string
	force     bool
}

// defaultThreshold is how much less is not told from chance on a quiet machine.
const defaultThreshold = 5

func (a *app) reportCommand() *cobra.Command {
	f := reportFlags{threshold: units.PerCent(defaultThreshold)}
	c := &cobra.Command{
		Use:   "report FILE...",
		Short: "Show reports again, draw them, or compare two",
		Long: lines("Reads what blast, recv, bench and bench receive have written with --json. Prints a table of each file, or with --html",
			"writes a page with rate and loss over time and completion times. --diff compares the rates of two files, the earlier one first;",
			"exit code 4 if one fell by more than the threshold, or is not there any more."),
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
			case f.diff && f.html != "":
				return exit.Usagef("--diff prints a table: leave --html out")
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
			case f.html != "":
				return a.writePage(&f, all)
			}
			return report.WriteTables(a.stdout, all)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&f.diff, "diff", false, "compare the rates of two files, the earlier one first")
	fl.Var(&f.threshold, "threshold", "how much a rate may fall before the exit code is 4")
	fl.StringVar(&f.html, "html", "", "write one page of HTML that needs no network to this `file`; - is standard output")
	fl.BoolVar(&f.force, "force", false, "write over a page that is there")
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
			return exit.Beyondf("%s fell by %.1f %%, more than %v", c.Name, 100*c.Fall(), most)
		}
	}
	return nil
}

// writePage writes the page, to a file that is not there yet unless it may be written over.
func (a *app) writePage(f *reportFlags, all []*report.Document) error {
	if f.html == stdoutName {
		return report.WritePage(a.stdout, all)
	}
	how := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if !f.force {
		how |= os.O_EXCL
	}
	file, err := os.OpenFile(f.html, how, 0o666)
	switch {
	case errors.Is(err, fs.ErrExist):
		return exit.Usagef("--html %s is there already: name another file, or say --force", f.html)
	case err != nil:
		return fmt.Errorf("write page: %w", err)
	}
	return errors.Join(report.WritePage(file, all), file.Close())
}
