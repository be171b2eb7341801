// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
)

// outcome is what became of a guest: a record, or why this machine cannot run it.
type outcome struct {
	guestPlan
	record *record
	err    error
}

func (o *outcome) verdict() string {
	switch {
	case o.err != nil:
		return "CANNOT"
	case !o.record.ok():
		return "FAILED"
	}
	return "ok"
}

// print tells of one guest, right after it.
func (o *outcome) print(w io.Writer) {
	if o.err != nil {
		fmt.Fprintf(w, "== %s, %s: %v\n", o.kernel, o.setup.Name, o.err)
		return
	}
	for _, t := range o.record.Tests {
		fmt.Fprintf(w, "%-14s %4d passed %3d failed %3d skipped\n", t.Package, t.Passed, len(t.Failed), len(t.Skipped))
	}
	if o.record.Problem != "" {
		fmt.Fprintln(w, o.record.Problem)
	}
}

// printTable is the end of a suite: a line per guest, what was skipped, and the reasons of what could not be.
func printTable(w io.Writer, all []outcome, took time.Duration) {
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "kernel\trelease\tset-up\tpassed\tfailed\tskipped\tseconds\t")
	var passed, failed, skipped int
	for _, o := range all {
		if o.err != nil {
			fmt.Fprintf(tw, "%s\t-\t%s\t-\t-\t-\t-\t%s\n", o.kernel, o.setup.Name, o.verdict())
			continue
		}
		p, f, s := o.record.counts()
		passed, failed, skipped = passed+p, failed+f, skipped+s
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%.0f\t%s\n", o.kernel, o.record.Release, o.setup.Name, p, f, s,
			o.record.Took.Seconds(), o.verdict())
	}
	fmt.Fprintf(tw, "all\t\t\t%d\t%d\t%d\t%.0f\t\n", passed, failed, skipped, took.Seconds())
	tw.Flush()
	for _, o := range all {
		if o.err != nil {
			fmt.Fprintf(w, "%s, %s: %v\n", o.kernel, o.setup.Name, o.err)
			continue
		}
		for _, t := range o.record.Tests {
			where := fmt.Sprintf("%s, %s, %s", o.kernel, o.setup.Name, t.Package)
			if len(t.Failed) > 0 {
				fmt.Fprintf(w, "failed: %s: %s\n", where, strings.Join(t.Failed, " "))
			}
			if len(t.Skipped) > 0 {
				fmt.Fprintf(w, "skipped: %s: %s\n", where, strings.Join(t.Skipped, " "))
			}
		}
		for _, c := range o.record.Complaints {
			fmt.Fprintf(w, "kernel complained: %s, %s: %s\n", o.kernel, o.setup.Name, c)
		}
		if o.record.Problem != "" {
			fmt.Fprintf(w, "failed: %s, %s: %s\n", o.kernel, o.setup.Name, o.record.Problem)
		}
	}
}

// conclusion is an error unless every guest ran and all was well in it. A failure outweighs what could not be run.
func conclusion(all []outcome) error {
	var cannot []string
	for _, o := range all {
		switch {
		case o.err != nil:
			cannot = append(cannot, o.kernel+" "+o.setup.Name)
		case !o.record.ok():
			return errFailed
		}
	}
	if len(cannot) > 0 {
		return vm.Cannotf("%d of %d could not be run on this machine: %s", len(cannot), len(all), strings.Join(cannot, ", "))
	}
	return nil
}
