// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/job"
)

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type runFlags struct {
	kernel, setup, out        string
	timeout                   time.Duration
	memory                    int
	packages, programs, lines list
	env                       list
	kernelLog                 bool
}

const runUsage = `usage: scripts/vm/run [FLAG ...] [COMMAND [ARGUMENT ...]]

Boots one guest, runs commands in it one after another, and ends with 0 if all of them did; 1 if one failed or the guest
hung or died; 77 if this machine cannot do it. wsk-xdp and busybox are in the guest's PATH.

`

func runCommand(args []string) error {
	var f runFlags
	set := flag.NewFlagSet("run", flag.ContinueOnError)
	set.Usage = func() { fmt.Fprint(set.Output(), runUsage); set.PrintDefaults() }
	set.StringVar(&f.kernel, "kernel", "newest", "newest, or a series such as 5.10, 6.1, 6.12, 6.18")
	set.StringVar(&f.setup, "setup", "veth", "network cards: veth (none), igb, virtio, virtio1")
	set.DurationVar(&f.timeout, "timeout", 3*time.Minute, "for each command")
	set.IntVar(&f.memory, "memory", 0, "MiB of the guest (default 1536)")
	set.StringVar(&f.out, "out", "", "directory for files that commands leave in $WSKXDP_OUT, and the kernel log")
	set.Var(&f.packages, "p", "package whose test binary commands may call: ./wsk/datapath as wsk-datapath.test; repeatable")
	set.Var(&f.programs, "b", "static program that commands may call, by its file name; repeatable")
	set.Var(&f.lines, "c", "line for the guest's shell; repeatable")
	set.Var(&f.env, "e", "NAME=VALUE for the environment of commands; repeatable")
	set.BoolVar(&f.kernelLog, "kernel-log", false, "show the guest's kernel log also when all went well")
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return usageError{err}
	}
	if set.NArg() > 0 {
		f.lines = append(f.lines, quote(set.Args()))
	}
	if len(f.lines) == 0 {
		return usagef("nothing to run: give a command")
	}
	b, err := openBed()
	if err != nil {
		return err
	}
	defer b.close()
	return b.run(f)
}

func (b *bed) run(f runFlags) error {
	s, err := vm.FindSetup(f.setup)
	if err != nil {
		return usageError{err}
	}
	m, err := b.machine(f)
	if err != nil {
		return err
	}
	var commands []job.Command
	for _, line := range f.lines {
		commands = append(commands, job.Command{Line: line, Timeout: f.timeout})
	}
	fmt.Fprintf(os.Stderr, "vm: Linux %s (%s), set-up %s\n", m.Kernel.Release, m.Kernel.Version, s.Name)
	m.Live, m.Log = os.Stdout, prefixed{"vm: "}
	r, err := b.boot(m, s, commands)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(m.Out, "kernel.log"), []byte(r.KernelLog), 0o644); err != nil {
		return err
	}
	return conclude(r, f.kernelLog)
}

// conclude tells what became of a guest, and is an error if anything is wrong.
func conclude(r *vm.Result, withLog bool) error {
	ok := r.State == vm.Done
	for _, c := range r.Commands {
		switch {
		case !c.Ended:
			fmt.Fprintf(os.Stderr, "vm: not ended: %s\n", c.Line)
		case c.Code == job.CodeTimeout:
			fmt.Fprintf(os.Stderr, "vm: time ran out: %s\n", c.Line)
		default:
			fmt.Fprintf(os.Stderr, "vm: exit code %d: %s\n", c.Code, c.Line)
		}
		ok = ok && c.OK()
	}
	for _, line := range r.Complaints() {
		fmt.Fprintf(os.Stderr, "vm: the guest's kernel complained: %s\n", line)
	}
	if !ok || withLog {
		fmt.Fprintf(os.Stderr, "vm: the guest's kernel said:\n%s\n", r.KernelLog)
	}
	if r.State != vm.Done {
		fmt.Fprintf(os.Stderr, "vm: guest: %v: %s\n", r.State, r.Reason)
	}
	if !ok {
		return errFailed
	}
	return nil
}

// machine builds and fetches all that a guest needs.
func (b *bed) machine(f runFlags) (*vm.Machine, error) {
	m := &vm.Machine{Tools: b.tools, Source: b.root, Out: f.out, Env: f.env, Memory: f.memory}
	if m.Out == "" {
		m.Out = filepath.Join(b.built, "out")
	}
	if err := os.MkdirAll(m.Out, 0o755); err != nil {
		return nil, err
	}
	var err error
	if m.Out, err = filepath.Abs(m.Out); err != nil {
		return nil, err
	}
	if m.Kernel, err = b.kernel(f.kernel); err != nil {
		return nil, err
	}
	if m.Agent, err = b.agent(); err != nil {
		return nil, err
	}
	if strings.Contains(f.lines.String(), "wsk-xdp") {
		p, err := b.command()
		if err != nil {
			return nil, err
		}
		m.Programs = append(m.Programs, p)
	}
	for _, path := range f.programs {
		m.Programs = append(m.Programs, vm.Program{Name: filepath.Base(path), Path: path})
	}
	for _, pkg := range f.packages {
		p, err := b.tests(pkg)
		if err != nil {
			return nil, err
		}
		m.Programs = append(m.Programs, p)
	}
	return m, nil
}

// quote makes one line for a shell of a command's words.
func quote(words []string) string {
	var out []string
	for _, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`&|;<>()*?[]#~!{}") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// prefixed writes to standard error.
type prefixed struct{ prefix string }

func (p prefixed) Write(b []byte) (int, error) {
	_, err := fmt.Fprintf(os.Stderr, "%s%s", p.prefix, b)
	return len(b), err
}
