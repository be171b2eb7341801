// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/doctor"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

func (a *app) doctorCommand() *cobra.Command {
	var (
		o      doctor.Options
		asJSON bool
	)
	c := &cobra.Command{
		Use:   "doctor [IFACE] [DST[:PORT]]",
		Short: "Say what this machine and interface can do, and what to do about the rest",
		Long: lines("Looks at the kernel, this process's privileges, an interface and the way to a destination; changes nothing.",
			"With a port, rules that look at ports are judged, too.",
			"Exit code 0, or 3 when this machine can't send over AF_XDP at all."),
		Example: lines("  wsk-xdp doctor", "  wsk-xdp doctor eth0 192.0.2.7:9000", "  sudo wsk-xdp doctor --json --prove wsk0"),
		Args:    atMost(2),

		ValidArgsFunction: a.completeDoctor,
		RunE: func(c *cobra.Command, args []string) error {
			if err := doctorArgs(args, &o); err != nil {
				return err
			}
			o.UserNS = a.userNamespaceSelfTest
			return a.withNetNS(func(ns *netns.NS) error {
				o.NetNS = ns
				if o.Interface != "" {
					if err := interfacesThere(ns, "", o.Interface); err != nil {
						return err
					}
				}
				return a.doctor(c.Context(), o, asJSON)
			})
		},
	}
	f := c.Flags()
	f.BoolVar(&o.Try, "try", false, "try binds on queue 0; with a zero-copy driver the link may go down for seconds")
	f.BoolVar(&o.Force, "force", false, "--try even where this ssh session runs over the interface")
	f.BoolVar(&o.Prove, "prove", false, "send 1,000 datagrams over AF_XDP in a laboratory of its own")
	f.BoolVar(&asJSON, "json", false, "one JSON document ("+doctor.Schema+")")
	return c
}

// doctorArgs takes an interface, a destination, or both; an address is never an interface.
func doctorArgs(args []string, o *doctor.Options) error {
	for _, arg := range args {
		if addr, port, ok := parseHost(arg); ok {
			if o.Destination.IsValid() {
				return exit.Usagef("%s: a second destination", arg)
			}
			o.Destination, o.Port = addr, port
			if with, err := netip.ParseAddrPort(arg); err == nil && with.Port() == 0 {
				return exit.Usagef("destination %q: nothing listens on port 0", arg)
			}
			continue
		}
		if why := badPort(arg); why != "" {
			return exit.Usagef("destination %q %s", arg, why)
		}
		if strings.Contains(arg, ":") || o.Interface != "" || o.Destination.IsValid() {
			return exit.Usagef("%q is no IP address", arg)
		}
		o.Interface = arg
	}
	return nil
}

// parseHost parses an address with or without a port.
func parseHost(s string) (addr netip.Addr, port uint16, ok bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), ap.Port(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return addr.Unmap(), 0, err == nil
}

func (a *app) doctor(ctx context.Context, o doctor.Options, asJSON bool) error {
	facts, err := doctor.Gather(ctx, o)
	if err != nil {
		return err
	}
	r := doctor.Report{
		Schema: doctor.Schema, Version: host.ReadBuild().Version, Facts: facts, Findings: doctor.Check(&facts),
		Summary: doctor.Conclude(&facts),
	}
	if facts.Interface != nil {
		r.Interface = facts.Interface.Name
	}
	if o.Destination.IsValid() {
		r.Dst = o.Destination.String()
	}
	if asJSON {
		err = output.JSON(a.stdout, r)
	} else {
		err = r.Write(a.stdout)
	}
	if err == nil && !r.Summary.TXPossible {
		return exit.NotPossiblef("AF_XDP can't be had on this machine: %s", r.Summary.TX)
	}
	return err
}

// selftestCommand is what runs inside a user namespace for doctor.
func (a *app) selftestCommand() *cobra.Command {
	var prove bool
	c := &cobra.Command{
		Use: "selftest", Hidden: true, Args: cobra.NoArgs, Short: "Say whether AF_XDP can be had here, for doctor",
		RunE: func(c *cobra.Command, _ []string) error {
			return output.JSON(a.stdout, doctor.RunSelfTest(c.Context(), prove))
		},
	}
	c.Flags().BoolVar(&prove, "prove", false, "send datagrams in a laboratory")
	return c
}

// userNamespaceSelfTest runs the self-test in a user and network namespace of its own.
func (a *app) userNamespaceSelfTest(ctx context.Context, prove bool) (s doctor.SelfTest, err error) {
	cmd := exec.CommandContext(ctx, self, "selftest", fmt.Sprintf("--prove=%t", prove))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := testenv.RunInUserNamespace(cmd); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			err = errors.Join(err, errors.New(text))
		}
		return s, err
	}
	if err := json.Unmarshal(stdout.Bytes(), &s); err != nil {
		return s, fmt.Errorf("read the answer of the self-test: %w", err)
	}
	return s, nil
}

// self is this program, also when its file has been replaced meanwhile.
const self = "/proc/self/exe"
