// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this binary",
		Example: lines("  wsk-xdp version", "  wsk-xdp version --json"),
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := host.ReadBuild()
			if !asJSON {
				_, err := fmt.Fprintln(a.stdout, b)
				return err
			}
			return output.JSON(a.stdout, struct {
				Schema string `json:"schema"`
				host.Build
			}{"wsk-xdp.version/1", b})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	return c
}
