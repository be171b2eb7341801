// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [ID]",
		Short: "Say what a reason of the daemon means",
		Long: lines("Every refusal of the daemon has a reason, whose number and name never change: the same in errors, logs, metrics",
			"and the protocol. Without an argument all of them are listed."),
		Example: lines("  wsk-xdp explain policy.destination", "  wsk-xdp explain 105"),
		Args:    atMost(1),

		ValidArgsFunction: completeReason,
		RunE: func(_ *cobra.Command, args []string) error {
			t := output.Table{}
			for reason := range ipc.Reasons() {
				if len(args) == 0 || args[0] == reason.String() || args[0] == strconv.Itoa(int(reason)) {
					t.Row(strconv.Itoa(int(reason)), reason.String(), reason.Sentence())
					if len(args) > 0 {
						return t.Write(a.stdout)
					}
				}
			}
			if len(args) > 0 {
				return exit.Usagef("there is no reason %q: wsk-xdp explain lists them", args[0])
			}
			return t.Write(a.stdout)
		},
	}
}
