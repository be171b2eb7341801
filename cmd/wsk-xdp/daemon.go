// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/daemon"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

func (a *app) daemonCommand() *cobra.Command {
	var (
		o     daemon.Options
		check bool
	)
	c := &cobra.Command{
		Use:   "daemon",
		Short: "Own NIC queues, and let other programs send and receive through them",
		Long: lines("Runs until it is told to stop. Programs that have neither queues nor capabilities open their sockets through it;",
			"policy.toml says who may send what where. SIGHUP, or wsk-xdp reload, reads that file again. docs/daemon.md has",
			"the files, what systemd needs, and what is in the metrics."),
		Example: lines("  wsk-xdp daemon --check --policy policy.toml",
			"  wsk-xdp daemon --policy policy.toml --listen /run/wsk-xdp/wsk.sock"),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			defer daemon.EndAnyway(c.Context(), a.stderr, os.Exit)()
			o.Verbose, o.Version = a.verbose, host.ReadBuild().Version
			config, err := daemon.Load(o)
			if err != nil {
				return exit.Usagef("%w", err)
			}
			if check {
				return a.checked(config)
			}
			return a.withNetNS(func(ns *netns.NS) error { return a.daemon(c.Context(), config, ns) })
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.Config, "config", "", "`file` with the daemon's settings (default "+daemon.DefaultConfig+", if it is there)")
	f.StringVar(&o.Policy, "policy", "", "`file` that says who may do what; instead of the one that the settings name")
	f.StringVar(&o.Listen, "listen", "", "`path` of the socket for clients, where systemd hands none over")
	f.StringVar(&o.Admin, "admin", "", "`path` of the socket for operators")
	f.BoolVar(&check, "check", false, "read both files, say what is wrong or what they grant, and end")
	return c
}

func (a *app) daemon(ctx context.Context, config *daemon.Config, ns *netns.NS) error {
	err := daemon.Run(ctx, config, ns, output.Lasting(a.stderr))
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, os.ErrPermission) {
		return exit.NotPossiblef("%w\n  %s", err, daemonNeeds)
	}
	return err
}

const daemonNeeds = "the daemon needs CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK: docs/daemon.md"

func (a *app) checked(config *daemon.Config) error {
	settings, policy := config.Files()
	if settings == "" {
		settings = "defaults"
	}
	p := config.Policy()
	_, err := fmt.Fprintf(a.stdout, "settings  %s\npolicy    %s: %s, %s\n", settings, policy,
		units.Plural(len(p.Interfaces), "interface"), units.Plural(len(p.Grants()), "grant"))
	return err
}
