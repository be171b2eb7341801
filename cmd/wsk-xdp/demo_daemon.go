// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/daemondemo"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// programVerb is the hidden verb of the programs of demo --daemon.
const programVerb = "demo-program"

func (a *app) demoDaemon(ctx context.Context) error {
	if err := testenv.Check(testenv.Root | testenv.NetNS | testenv.AFXDP | testenv.XDPProgram); err != nil {
		return exit.NotPossiblef("demo --daemon: %w", err)
	}
	return daemondemo.Run(ctx, a.stdout, func(path string, to ...string) []string {
		return append([]string{programVerb, path}, to...)
	})
}

func (a *app) programCommand() *cobra.Command {
	return &cobra.Command{
		Use: programVerb, Hidden: true, Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			to := make([]netip.AddrPort, len(args)-1)
			for i, arg := range args[1:] {
				var err error
				if to[i], err = netip.ParseAddrPort(arg); err != nil {
					return exit.Usagef("%w", err)
				}
			}
			return daemondemo.Program(args[0], to, a.stdout)
		},
	}
}
