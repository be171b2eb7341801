// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/admin"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// adminCommand is a question to the daemon.
func (a *app) adminCommand(use, short string, ask func(*cobra.Command, *admin.Client, bool) error) *cobra.Command {
	var (
		path   string
		asJSON bool
	)
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		Example: lines("  sudo wsk-xdp "+use, "  sudo wsk-xdp "+use+" --json"),
		RunE: func(c *cobra.Command, _ []string) error {
			err := ask(c, admin.NewClient(path), asJSON)
			if errors.Is(err, fs.ErrPermission) {
				return exit.NotPossiblef("%w", err)
			}
			return err
		},
	}
	c.Flags().StringVar(&path, "admin", admin.DefaultPath, "`path` of the daemon's socket for operators")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	return c
}

func (a *app) statusCommand() *cobra.Command {
	return a.adminCommand("status", "Say whether the daemon is well", func(c *cobra.Command, client *admin.Client, asJSON bool) error {
		s, err := client.Status(c.Context())
		if err != nil {
			return err
		}
		if asJSON {
			err = output.JSON(a.stdout, s)
		} else {
			err = a.showStatus(s)
		}
		if err == nil && !s.Healthy {
			err = &reported{errors.New("the daemon is not well")}
		}
		return err
	})
}

func (a *app) showStatus(s *admin.Status) error {
	health := "healthy"
	if !s.Healthy {
		health = "NOT HEALTHY: " + strings.Join(s.Complaints, "; ")
	}
	if !s.Ready {
		health += ", not ready"
	}
	fmt.Fprintf(a.stdout, "wsk-xdp daemon %s, pid %d, up %v: %s\n", s.Version, s.PID,
		time.Since(s.StartedAt).Truncate(time.Second), health)
	fmt.Fprintf(a.stdout, "policy  %s, of %s", s.Policy.File, s.Policy.LoadedAt.Format(time.DateTime))
	if s.Policy.Error != "" {
		fmt.Fprintf(a.stdout, "; the last reload has failed: %s", s.Policy.Error)
	}
	fmt.Fprintln(a.stdout)
	for _, l := range s.Listeners {
		fmt.Fprintf(a.stdout, "clients %s (%s)\n", l.Path, l.Name)
	}
	t := output.Tables{W: a.stdout}
	t.Begin("Queues", "interface", "queue", "state", "mode", "in flight", "waiting", "completed", "dropped", "rebuilds")
	for _, q := range s.Queues {
		t.Row(q.Interface, fmt.Sprint(q.Queue), q.State, q.Mode, fmt.Sprint(q.InFlight), fmt.Sprint(q.Waiting),
			fmt.Sprint(q.Completed), fmt.Sprint(q.Dropped), fmt.Sprint(q.Rebuilds))
	}
	return t.Flush()
}

func (a *app) statsCommand() *cobra.Command {
	var metrics bool
	c := a.adminCommand("stats", "Show what the daemon's grants have and did",
		func(c *cobra.Command, client *admin.Client, asJSON bool) error {
			if metrics {
				text, err := client.Metrics(c.Context())
				if err == nil {
					_, err = a.stdout.Write(text)
				}
				return err
			}
			s, err := client.Status(c.Context())
			if err != nil || asJSON {
				return errors.Join(err, jsonUnless(err, a, s))
			}
			return a.showStats(s)
		})
	c.Flags().BoolVar(&metrics, "metrics", false, "in the text format of Prometheus")
	return c
}

func jsonUnless(err error, a *app, document any) error {
	if err != nil {
		return nil
	}
	return output.JSON(a.stdout, document)
}

func (a *app) showStats(s *admin.Status) error {
	t := output.Tables{W: a.stdout}
	t.Begin("Grants", "grant", "sessions", "sockets", "in flight", "sent", "received", "throttled", "denied")
	for _, g := range s.Grants {
		var denied uint64
		for _, n := range g.Denied {
			denied += n
		}
		t.Row(g.Name, fmt.Sprint(g.Sessions), fmt.Sprint(g.Sockets), fmt.Sprint(g.InFlight), fmt.Sprint(g.Sent),
			fmt.Sprint(g.Received), time.Duration(g.ThrottledNS).Truncate(time.Millisecond).String(), fmt.Sprint(denied))
	}
	t.Begin("Refused", "reason", "grant", "times")
	for _, reason := range sortedKeys(s.Refusals) {
		t.Row(reason, "(session)", fmt.Sprint(s.Refusals[reason]))
	}
	for _, g := range s.Grants {
		for _, reason := range sortedKeys(g.Denied) {
			t.Row(reason, g.Name, fmt.Sprint(g.Denied[reason]))
		}
	}
	for _, v := range s.Violations {
		t.Row(v.Reason, v.Rule, fmt.Sprint(v.Count))
	}
	return t.Flush()
}

func (a *app) clientsCommand() *cobra.Command {
	return a.adminCommand("clients", "List the programs that are connected to the daemon",
		func(c *cobra.Command, client *admin.Client, asJSON bool) error {
			l, err := client.Clients(c.Context())
			if err != nil || asJSON {
				return errors.Join(err, jsonUnless(err, a, l))
			}
			t := output.Tables{W: a.stdout}
			t.Begin("Clients", "session", "uid", "gid", "pid", "command", "grant", "sockets")
			for _, s := range l.Sessions {
				t.Row(fmt.Sprint(s.ID), fmt.Sprint(s.UID), fmt.Sprint(s.GID), fmt.Sprint(s.PID), s.Command, s.Grant,
					strings.Join(s.Sockets, " "))
			}
			return t.Flush()
		})
}

func (a *app) reloadCommand() *cobra.Command {
	return a.adminCommand("reload", "Have the daemon read its policy again",
		func(c *cobra.Command, client *admin.Client, asJSON bool) error {
			r, err := client.Reload(c.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				err = output.JSON(a.stdout, r)
			case r.OK:
				fmt.Fprintf(a.stdout, "reloaded: %s\n", units.Plural(r.Grants, "grant"))
			}
			if err == nil && !r.OK {
				return fmt.Errorf("the policy stays as it is: %s", r.Error)
			}
			return err
		})
}

func sortedKeys(m map[string]uint64) []string {
	return slices.Sorted(maps.Keys(m))
}
