// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/output"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/session"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/xdp"
)

type labFlags struct {
	name   string
	mtu    int
	queues int
	routed bool
	json   bool
}

func (a *app) labCommand() *cobra.Command {
	var f labFlags
	lab := &cobra.Command{
		Use:   "lab",
		Short: "A laboratory: two network namespaces with a veth pair between them",
		Long: lines("The namespaces wsk-a and wsk-b, connected by the veth pair wsk0 and wsk1, as `ip netns` knows them. They stay",
			"until lab down. Nothing outside of them is touched. Needs root; wsk-xdp demo does not, and neither does a lab in a",
			"shell with namespaces of its own, in which no line needs sudo, and recv goes into the background:",
			ownLab),
		Example: lines("  sudo wsk-xdp lab up", "  sudo ip netns exec wsk-a wsk-xdp send 10.77.0.2:9000",
			"  sudo wsk-xdp lab down"),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			a.started = false // an incomplete command line after all
			return exit.Usagef("say up, down or status")
		},
	}
	lab.PersistentPreRunE = func(*cobra.Command, []string) error {
		a.started = true // what the root's does, which this one replaces
		return a.ownNetNS("lab")
	}
	lab.PersistentFlags().StringVar(&f.name, "name", testenv.DefaultPrefix, "prefix of the names of the namespaces")
	up := &cobra.Command{
		Use: "up", Short: "Build the laboratory", Args: noArguments,
		Example: "  sudo wsk-xdp lab up --mtu 3500 --queues 2",
		RunE:    f.checked(func() error { return a.labUp(&f) }),
	}
	up.Flags().IntVar(&f.mtu, "mtu", 1500, "MTU of the link")
	up.Flags().IntVar(&f.queues, "queues", 1, "transmit and receive queues of each end")
	up.Flags().BoolVar(&f.routed, "routed", false, "a router, wsk-r, between the two")
	down := &cobra.Command{
		Use: "down", Short: "Remove it", Args: noArguments, Example: "  sudo wsk-xdp lab down",
		RunE: f.checked(func() error { return a.labDown(&f) }),
	}
	status := &cobra.Command{
		Use: "status", Short: "Say what is there", Args: noArguments, Example: "  sudo wsk-xdp lab status --json",
		RunE: f.checked(func() error { return a.labStatus(&f) }),
	}
	status.Flags().BoolVar(&f.json, "json", false, "one JSON document (wsk-xdp.lab/1)")
	lab.AddCommand(up, down, status)
	return lab
}

// check refuses flags that describe no possible laboratory.
func (f *labFlags) check() error {
	switch {
	case f.mtu < 68 || f.mtu > 65535:
		return exit.Usagef("--mtu %d is outside 68..65535", f.mtu)
	case f.queues < 1 || f.queues > 4096:
		return exit.Usagef("--queues %d is outside 1..4096", f.queues)
	}
	return nil
}

// checked runs a command of lab unless the name makes no laboratory.
func (f *labFlags) checked(run func() error) func(*cobra.Command, []string) error {
	return func(*cobra.Command, []string) error {
		if err := testenv.CheckPrefix(f.name); err != nil {
			return exit.Usagef("--name: %w", err)
		}
		return run()
	}
}

func (a *app) labUp(f *labFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	t := testenv.Topology{MTU: f.mtu, NoIPv6: f.mtu < 1280}
	t.A.TX, t.A.RX, t.B.TX, t.B.RX = f.queues, f.queues, f.queues, f.queues
	if f.routed {
		t.Shape = testenv.Routed
	}
	lab, err := testenv.UpNamed(f.name, t)
	if err != nil {
		return labError(err)
	}
	if f.mtu > session.LargestMTU && lacksMultiBuffer(lab) {
		a.warn(fmt.Sprintf("MTU %d is above %d: a packet does not fit an AF_XDP chunk, and this kernel has no frames of several, so datagrams "+
			"go through the kernel's own stack", f.mtu, session.LargestMTU))
	}
	b4, b6 := lab.B.IPv4(), lab.B.IPv6()
	if err := lab.Close(); err != nil {
		return err
	}
	if err := a.printLabs(f); err != nil {
		return err
	}
	program := host.Program(os.Args[0])
	in := func(role, command string) string {
		return fmt.Sprintf("  sudo ip netns exec %s-%s %s", f.name, role, command)
	}
	next := []string{"", "try:", in("b", program+" recv :9000") + "   (in another terminal)",
		in("a", fmt.Sprintf("%s send %v:9000 --payload text:hello", program, b4))}
	if b6.IsValid() {
		next = append(next, in("a", fmt.Sprintf("%s send [%v]:9000 -n 3", program, b6)))
	}
	next = append(next, in("a", fmt.Sprintf("%s blast %v:9000 -d 3s", program, b4)), in("a", fmt.Sprintf("%s doctor wsk0 %v", program, b4)),
		"  sudo "+program+" lab down"+nameFlag(f.name))
	_, err = fmt.Fprintln(a.stdout, strings.Join(next, "\n"))
	return err
}

// lacksMultiBuffer reports whether the kernel has no frames of several chunks. Where it can't be told it has.
func lacksMultiBuffer(lab *testenv.Lab) bool {
	return errors.Is(lab.A.NS.Do(func() error { return xdp.ProbeMultiBuffer(lab.A.If.Name(), 0) }), xdp.ErrNotSupported)
}

func nameFlag(name string) string {
	if name == testenv.DefaultPrefix {
		return ""
	}
	return " --name " + name
}

func (a *app) labDown(f *labFlags) error {
	removed, err := testenv.DownNamed(f.name)
	for _, name := range removed {
		fmt.Fprintf(a.stdout, "removed namespace %s\n", name)
	}
	if err == nil && len(removed) == 0 {
		fmt.Fprintf(a.stdout, "no laboratory %s is up\n", f.name)
	}
	return labError(err)
}

func (a *app) labStatus(f *labFlags) error {
	if f.json {
		labs, err := testenv.StatusNamed(f.name)
		if err != nil {
			return labError(err)
		}
		return output.JSON(a.stdout, labDocument(f.name, labs))
	}
	return a.printLabs(f)
}

// printLabs prints every fact about the laboratory.
func (a *app) printLabs(f *labFlags) error {
	labs, err := testenv.StatusNamed(f.name)
	if err != nil {
		return labError(err)
	}
	doc := labDocument(f.name, labs)
	if len(doc.Namespaces) == 0 {
		_, err := fmt.Fprintf(a.stdout, "no laboratory %s is up: sudo %s lab up%s\n", f.name, host.Program(os.Args[0]), nameFlag(f.name))
		return err
	}
	var t output.Table
	t.Row("namespace", "interface", "kind", "state", "mtu", "queues tx/rx", "MAC", "addresses")
	for _, ns := range doc.Namespaces {
		if ns.State != "present" {
			t.Row(ns.Name, "-", "-", ns.State)
		}
		for _, l := range ns.Links {
			kind := l.Kind
			if l.XDP {
				kind += " +xdp"
			}
			t.Row(ns.Name, l.Name, kind, l.State, fmt.Sprint(l.MTU), fmt.Sprintf("%d/%d", l.TX, l.RX), l.MAC, strings.Join(l.Addrs, " "))
		}
	}
	return t.Write(a.stdout)
}

// ownLab begins a shell in which anybody may have a laboratory.
const ownLab = "unshare -Urnm sh -c 'mount -t tmpfs run /run; exec sh'"

// labError gives errors of testenv their exit codes.
func labError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return exit.NotPossiblef("%w; without root: wsk-xdp demo, or lab inside of %s", err, ownLab)
	}
	return err
}

// labReport is the JSON document of lab status.
type labReport struct {
	Schema     string         `json:"schema"`
	Name       string         `json:"name"`
	Up         bool           `json:"up"`
	Namespaces []labNamespace `json:"namespaces"`
}

type labNamespace struct {
	Role  string    `json:"role"`
	Name  string    `json:"name"`
	State string    `json:"state"`
	Links []labLink `json:"links"`
}

type labLink struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Index int      `json:"index"`
	MTU   int      `json:"mtu_bytes"`
	MAC   string   `json:"mac"`
	State string   `json:"state"`
	TX    int      `json:"tx_queues"`
	RX    int      `json:"rx_queues"`
	XDP   bool     `json:"xdp_program"`
	Addrs []string `json:"addresses"`
}

func labDocument(name string, labs []testenv.NamedStatus) labReport {
	r := labReport{Schema: "wsk-xdp.lab/1", Name: name, Namespaces: []labNamespace{}}
	for _, lab := range labs {
		for _, ns := range lab.Namespaces {
			n := labNamespace{Role: ns.Role, Name: ns.Name, State: ns.Presence.String(), Links: []labLink{}}
			r.Up = r.Up || ns.Presence == testenv.Present
			for _, l := range ns.Links {
				link := labLink{Name: l.Name, Kind: l.Kind, Index: l.Index, MTU: l.MTU, MAC: l.MAC, State: l.OperState,
					TX: l.TX, RX: l.RX, XDP: l.XDP, Addrs: []string{}}
				for _, p := range l.Addrs {
					link.Addrs = append(link.Addrs, p.String())
				}
				n.Links = append(n.Links, link)
			}
			r.Namespaces = append(r.Namespaces, n)
		}
	}
	return r
}
