// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/completion"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/manual"
)

func (a *app) manCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "Print the manual page of a command, or write them all",
		Long: lines("Prints a manual page for man, made of what --help of that command says; without a command, the overview.",
			"make install puts all of them in place."),
		Example:           lines("  wsk-xdp man blast | man -l -", "  wsk-xdp man --dir /usr/local/share/man/man1"),
		ValidArgsFunction: completion.Commands,
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			switch {
			case err != nil || len(rest) > 0 || about.Hidden:
				return exit.Usagef("there is no command %q", strings.Join(args, " "))
			case dir != "" && len(args) > 0:
				return exit.Usagef("--dir takes the pages of all commands: leave %s out", strings.Join(args, " "))
			case dir != "":
				return writeManual(c.Root(), dir)
			}
			_, err = a.stdout.Write(manual.Page(about, edition()))
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "write the pages of all commands into this `directory`, which is there")
	return c
}

// writeManual writes a file for every command.
func writeManual(root *cobra.Command, dir string) error {
	for _, c := range manual.Commands(root) {
		if err := os.WriteFile(filepath.Join(dir, manual.File(c)), manual.Page(c, edition()), 0o644); err != nil {
			return exit.Usagef("--dir %s takes no pages: %w", dir, err)
		}
	}
	return nil
}

// edition is the same for the same source, so that what is built of it is.
func edition() manual.Edition {
	b := host.ReadBuild()
	day, _, _ := strings.Cut(b.Time, "T")
	return manual.Edition{Version: b.Version, Date: day}
}
