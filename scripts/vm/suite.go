// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

type suiteFlags struct {
	full, record, table, list bool
	kernel, setup             string
}

const suiteUsage = `usage: scripts/vm/suite [FLAG ...]

Runs the project's tests and wsk-xdp doctor in one guest after another and ends with a table. Exit code 0 if all passed, 1
if anything failed, 77 if nothing failed but this machine could not do all of it.

`

func suiteCommand(args []string) error {
	var f suiteFlags
	set := flag.NewFlagSet("suite", flag.ContinueOnError)
	set.Usage = func() { fmt.Fprint(set.Output(), suiteUsage); set.PrintDefaults() }
	set.BoolVar(&f.full, "full", false, "all packages on all kernels, all kernels with all network cards; an hour or so")
	set.StringVar(&f.kernel, "kernel", "", "this kernel only")
	set.StringVar(&f.setup, "setup", "", "this set-up only")
	set.BoolVar(&f.record, "record", false, "keep what was found in docs/kernels and make docs/kernels.md of it")
	set.BoolVar(&f.table, "table", false, "run nothing, make docs/kernels.md of what docs/kernels has")
	set.BoolVar(&f.list, "list", false, "run nothing, say what would be run")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return usageError{err}
	}
	root := os.Getenv("WSKXDP_ROOT")
	if f.table {
		return writeTable(root)
	}
	guests, err := plan(root, f.full)
	if err != nil {
		return err
	}
	guests = slices.DeleteFunc(guests, func(g guestPlan) bool {
		return f.kernel != "" && f.kernel != g.kernel || f.setup != "" && f.setup != g.setup.Name
	})
	if len(guests) == 0 {
		return usagef("nothing to run with kernel %q and set-up %q", f.kernel, f.setup)
	}
	if f.list {
		for _, g := range guests {
			fmt.Println(g.kernel, g.setup.Name, strings.Join(g.names(), " "))
		}
		return nil
	}
	b, err := openBed()
	if err != nil {
		return err
	}
	defer b.close()
	return b.suite(guests, f.record)
}

func (g guestPlan) names() []string {
	var names []string
	for _, s := range g.steps {
		names = append(names, s.name)
	}
	return names
}

func (b *bed) suite(guests []guestPlan, keep bool) error {
	start := time.Now()
	var all []outcome
	for _, g := range guests {
		o := outcome{guestPlan: g}
		o.record, o.err = b.guest(g)
		var cannot *vm.CannotError
		if o.err != nil && !errors.As(o.err, &cannot) {
			return o.err
		}
		o.print(os.Stdout)
		all = append(all, o)
		if keep && o.record != nil && o.record.Problem == "" {
			if err := o.record.save(filepath.Join(b.root, recordDir)); err != nil {
				return err
			}
		}
	}
	printTable(os.Stdout, all, time.Since(start))
	if keep {
		if err := writeTable(b.root); err != nil {
			return err
		}
	}
	return conclusion(all)
}

// suiteEnv makes floods and storms short: a guest is ten times slower.
var suiteEnv = []string{"FLOOD=0.1", "STORM=1s"}

// guest runs one of them.
func (b *bed) guest(g guestPlan) (*record, error) {
	dir := filepath.Join(b.cache, "results", g.kernel+"-"+g.setup.Name)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "out")
	f := runFlags{kernel: g.kernel, out: out, env: suiteEnv}
	var commands []job.Command
	for _, s := range g.steps {
		f.lines = append(f.lines, s.line)
		if s.pkg != "" {
			f.packages = append(f.packages, s.pkg)
		}
		commands = append(commands, job.Command{Line: s.line, Timeout: s.timeout})
	}
	m, err := b.machine(f)
	if err != nil {
		return nil, err
	}
	fmt.Printf("== Linux %s, %s: %s\n", m.Kernel.Release, g.setup.Name, strings.Join(g.names(), " "))
	m.Log = prefixed{"vm: "}
	r, err := b.boot(m, g.setup, commands)
	if err != nil {
		return nil, err
	}
	if err := keepLogs(dir, g, r); err != nil {
		return nil, err
	}
	return newRecord(g, m.Kernel, r, out)
}

// keepLogs leaves everything that was said in files.
func keepLogs(dir string, g guestPlan, r *vm.Result) error {
	if err := os.WriteFile(filepath.Join(dir, "kernel.log"), []byte(r.KernelLog), 0o644); err != nil {
		return err
	}
	for i, s := range g.steps {
		name := strings.ReplaceAll(s.name, "/", "-") + ".log"
		text := strings.ReplaceAll(r.Commands[i].Output, "\x16", "")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
		if s.pkg != "" {
			for _, f := range vm.ParseTests(r.Commands[i].Output).Failed {
				fmt.Printf("--- FAIL: %s %s\n%s", s.pkg, f.Name, lastLines(f.Output, 40))
			}
		}
		if !r.Commands[i].OK() {
			fmt.Printf("exit code %d (ended: %t): %s; all of it is in %s\n", r.Commands[i].Code, r.Commands[i].Ended, s.name,
				filepath.Join(dir, name))
		}
	}
	return nil
}

func lastLines(s string, n int) string {
	lines := strings.SplitAfter(s, "\n")
	if len(lines) <= n {
		return s
	}
	return "...\n" + strings.Join(lines[len(lines)-n:], "")
}
