// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Options say how to run.
type Options struct {
	// Out gets the narration and the table.
	Out io.Writer
	// Rootless says that this is a user namespace, where XDP programs can't be loaded.
	Rootless bool
	// Doctor gives the doctor's summary of the laboratory: a line of counts and the sentences.
	Doctor func(ctx context.Context, lab *testenv.Lab) (lines []string, err error)
}

// verdict is what became of a step.
type verdict string

const (
	verified  verdict = "verified"
	needsRoot verdict = "not run: needs root"
	failed    verdict = "FAILED"
)

// outcome is what a step saw.
type outcome struct {
	text string
	more []string // further lines of the narration
	// The numbers of the table, where the step counted.
	counted                   bool
	sent, completed, received uint64
}

// step is a row of the table.
type step struct {
	name string
	outcome
	verdict verdict
	took    time.Duration
	err     error
}

// demo is one run.
type demo struct {
	Options
	start time.Time
	lab   *testenv.Lab
	steps []step
}

// timeout bounds the whole; it takes a few seconds.
const timeout = 50 * time.Second

// Run shows everything and returns an error if anything of it was not as it should be. What fails does not keep the
// rest from running. A laboratory that can't be built is an error with exit code 3.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	d := &demo{Options: o, start: time.Now()}
	before := namespacesHeld()
	lab, err := testenv.NewLab(testenv.Topology{})
	if err != nil {
		return exit.NotPossiblef("a laboratory can't be built here: %w", err)
	}
	d.lab = lab
	d.say("laboratory: %s %v %v  ⇄  %s %v %v  (veth, MTU %d, nobody knows anybody yet)", lab.A.If.Name(), lab.A.IPv4(), lab.A.IPv6(),
		lab.B.If.Name(), lab.B.IPv4(), lab.B.IPv6(), lab.Topology.MTU)
	for _, s := range []struct {
		name string
		run  func(context.Context) (outcome, error)
	}{
		{"doctor", d.doctor},
		{"neighbour unknown", d.neighbour},
		{"IPv4 datagrams", d.ipv4},
		{"IPv6 datagrams", d.ipv6},
		{"AF_XDP peer", d.peer},
		{"blast", d.blast},
		{"failures", d.failures},
	} {
		if ctx.Err() != nil {
			break
		}
		d.run(ctx, s.name, s.run)
	}
	d.run(ctx, "clean up", func(context.Context) (outcome, error) { return d.cleanUp(before) })
	return errors.Join(d.table(), d.failure(ctx))
}

// errNeedsRoot is returned by a step that can't run in a user namespace.
var errNeedsRoot = errors.New("loading an XDP program needs root")

func (d *demo) run(ctx context.Context, name string, f func(context.Context) (outcome, error)) {
	begin := time.Now()
	out, err := f(ctx)
	s := step{name, out, verified, time.Since(begin), nil}
	switch {
	case errors.Is(err, errNeedsRoot):
		s.verdict, s.text = needsRoot, "a user namespace can't load its XDP program: sudo wsk-xdp demo"
	case err != nil:
		s.verdict, s.err = failed, err
		if s.text != "" {
			s.text += "; "
		}
		s.text += err.Error()
	}
	d.steps = append(d.steps, s)
	mark := ""
	if s.err != nil {
		mark = string(failed) + ": "
	}
	d.say("%s: %s%s", s.name, mark, s.text)
	for _, line := range s.more {
		d.say("  %s", line)
	}
}

// say writes a line with the time since the start.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "%4.1f s  %s\n", time.Since(d.start).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) table() error {
	var t output.Table
	t.Row("step", "sent", "completed", "received", "time", "outcome")
	for _, s := range d.steps {
		row := []string{s.name, "", "", "", units.Nanoseconds(s.took.Nanoseconds()), string(s.verdict)}
		if s.counted {
			row[1], row[2], row[3] = units.Grouped(s.sent), units.Grouped(s.completed), units.Grouped(s.received)
		}
		t.Row(row...)
	}
	fmt.Fprintln(d.Out)
	if err := t.Write(d.Out); err != nil {
		return err
	}
	program := host.Program(os.Args[0])
	next := fmt.Sprintf("\nnext: %s doctor IFACE · sudo %[1]s lab up", program)
	if d.Rootless {
		next = fmt.Sprintf("\nnext: sudo %s demo (adds the AF_XDP peer) · %[1]s doctor IFACE", program)
	}
	_, err := fmt.Fprintln(d.Out, next)
	return err
}

func (d *demo) failure(ctx context.Context) error {
	var errs []error
	for _, s := range d.steps {
		if s.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, s.err))
		}
	}
	if len(errs) == 0 && ctx.Err() != nil {
		errs = append(errs, fmt.Errorf("not everything was shown: %w", context.Cause(ctx)))
	}
	return errors.Join(errs...)
}

// doctor shows what the doctor says about the laboratory.
func (d *demo) doctor(ctx context.Context) (outcome, error) {
	lines, err := d.Doctor(ctx, d.lab)
	if err != nil {
		return outcome{}, err
	}
	return outcome{text: lines[0], more: lines[1:]}, nil
}

// cleanUp ends the laboratory and looks whether anything of it is left in this process.
func (d *demo) cleanUp(before int) (outcome, error) {
	if err := d.lab.Close(); err != nil {
		return outcome{}, err
	}
	if now := namespacesHeld(); now != before {
		return outcome{}, fmt.Errorf("%d network namespaces are still held open", now-before)
	}
	return outcome{text: "namespaces, links and sockets are gone"}, nil
}
