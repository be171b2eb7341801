// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/demo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func (a *app) demoCommand() *cobra.Command {
	var rootless, inside, daemon bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show everything at work in a laboratory, verify it, and clean up",
		Long: lines("Builds two network namespaces with a veth pair between them, sends over AF_XDP, and verifies what arrives: at the",
			"kernel's UDP sockets and, as root, at an independent AF_XDP receiver. Takes a few seconds; nothing outside of the",
			"laboratory is touched, and nothing is left. Without root it runs in a user namespace of its own.",
			"Exit code 0 when everything shown was verified, 3 where no laboratory can be built."),
		Example: lines("  wsk-xdp demo", "  sudo wsk-xdp demo", "  sudo wsk-xdp demo --rootless", "  sudo wsk-xdp demo --daemon"),
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.ownNetNS("demo"); err != nil {
				return err
			}
			switch {
			case daemon:
				return a.demoDaemon(c.Context())
			case inside:
				return a.demo(c.Context(), true)
			case rootless:
				return a.demoInside(c.Context(), nil)
			}
			if err := testenv.Check(testenv.NetNS | testenv.AFXDP); err != nil {
				return a.demoInside(c.Context(), err)
			}
			return a.demo(c.Context(), testenv.Check(testenv.Root) != nil && testenv.Check(testenv.XDPProgram) != nil)
		},
	}
	c.Flags().BoolVar(&daemon, "daemon", false, "show wsk-xdp daemon instead, with programs of three users; needs root")
	c.Flags().BoolVar(&rootless, "rootless", false, "run in a user namespace even as root")
	c.Flags().BoolVar(&inside, insideFlag, false, "this is the user namespace")
	if err := c.Flags().MarkHidden(insideFlag); err != nil {
		panic(err) // the flag was added one line above
	}
	return c
}

// insideFlag tells a demo that it runs in its user namespace.
const insideFlag = "inside-user-namespace"

// demoInside runs the demo again in a user and network namespace of its own. why is what keeps it from running here.
func (a *app) demoInside(ctx context.Context, why error) error {
	fmt.Fprintf(a.stdout, "wsk-xdp demo in a user and network namespace of its own, as user %d\n", os.Geteuid())
	cmd := exec.CommandContext(ctx, self, "demo", "--"+insideFlag)
	cmd.Args[0] = os.Args[0] // what a user is told to run has that name
	cmd.Stdout, cmd.Stderr = a.stdout, a.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err := testenv.RunInUserNamespace(cmd)
	var status *exec.ExitError
	switch {
	case errors.Is(err, testenv.ErrUserNamespace):
		if why != nil {
			err = fmt.Errorf("%w; and not without either: %w", err, why)
		}
		return exit.NotPossiblef("%w; run: sudo %s demo", err, host.Program(os.Args[0]))
	case errors.As(err, &status) && status.ExitCode() > 0:
		// The demo inside has already said what was wrong.
		return &reported{&exit.Error{Code: status.ExitCode(), Err: err}}
	}
	return err
}

func (a *app) demo(ctx context.Context, rootless bool) error {
	if !rootless {
		fmt.Fprintln(a.stdout, "wsk-xdp demo as root")
	}
	return demo.Run(ctx, demo.Options{
		Out: a.stdout, Rootless: rootless,
		Doctor: func(ctx context.Context, lab *testenv.Lab) ([]string, error) { return a.demoDoctor(ctx, lab, rootless) },
	})
}

// demoDoctor looks at the sending end of the laboratory.
func (a *app) demoDoctor(ctx context.Context, lab *testenv.Lab, rootless bool) ([]string, error) {
	ns, err := netns.Open(fmt.Sprintf("/proc/self/fd/%d", lab.A.NS.FD()))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	o := doctor.Options{NetNS: ns, Interface: lab.A.If.Name(), Destination: lab.B.IPv4(), UserNS: a.userNamespaceSelfTest}
	if rootless {
		// The demo is in a user namespace already; whether another can be made inside it says nothing.
		o.UserNS = func(ctx context.Context, prove bool) (doctor.SelfTest, error) {
			return doctor.RunSelfTest(ctx, prove), nil
		}
	}
	facts, err := doctor.Gather(ctx, o)
	if err != nil {
		return nil, err
	}
	r := doctor.Report{Findings: doctor.Check(&facts), Summary: doctor.Conclude(&facts)}
	if r.Count(doctor.Fail) > 0 || !facts.AFXDP.Yes() {
		return nil, fmt.Errorf("%s; see wsk-xdp doctor", r.CountLine())
	}
	return []string{r.CountLine(), "TX: " + r.Summary.TX, "RX: " + r.Summary.RX, "Zero-copy: " + r.Summary.ZeroCopy}, nil
}
