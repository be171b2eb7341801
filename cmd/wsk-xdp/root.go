// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/completion"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
)

// run is the whole program; the result is its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := written{stdout, new(bool)}
	a := &app{stdin: stdin, stdout: out, stderr: stderr, line: append([]string{"wsk-xdp"}, args...)}
	root := a.command()
	if completion.Asked(args) {
		completion.Add(root, a.complete)
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exit.Done
	}
	var coded *exit.Error
	if !a.started && !errors.As(err, &coded) {
		err = commandError(err)
	}
	var silent *reported
	said := errors.As(err, &silent) || a.silent && exit.Code(err) != exit.Usage && exit.Code(err) != exit.NotPossible
	if !said {
		fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	}
	if exit.Code(err) == exit.Usage {
		fmt.Fprintf(stderr, "see %s --help\n", cmd.CommandPath())
	}
	a.tellError(out, formatOf(cmd, args), errorDocument(cmd.CommandPath(), err))
	return exit.Code(err)
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "wsk-xdp",
		Short: "WSK datagrams over AF_XDP",
		Long: "wsk-xdp sends UDP datagrams past the kernel's network stack, through AF_XDP sockets driven by the WSK\n" +
			"datagram API, and says what this machine can do of that. New here? Try: wsk-xdp demo",
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) { a.started = true },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	describe(root)
	f := root.PersistentFlags()
	f.StringVar(&a.netns, "netns", "", "work in this network namespace: a name (ip netns) or a path")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "log what the datapath does to standard error")
	root.AddCommand(a.demoCommand(), a.doctorCommand(), a.labCommand(), a.sendCommand(), a.blastCommand(), a.replayCommand(), a.recvCommand(),
		a.pingCommand(), a.echoCommand(), a.benchCommand(), a.versionCommand())
	root.AddCommand(a.daemonCommand(), a.statusCommand(), a.statsCommand(), a.clientsCommand(), a.reloadCommand(), a.explainCommand(), a.manCommand(), a.reportCommand())
	root.AddCommand(a.selftestCommand(), a.programCommand())
	return root
}
