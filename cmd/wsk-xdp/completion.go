// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/footprint"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/latency"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/receive"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/scale"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/completion"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/netns"
	"github.com/wsk-xdp/wsk-xdp/wsk/ipc"
)

// valuesOfForm are examples of values that nobody could list, by the form of their flags.
var valuesOfForm = map[string][]string{
	"rate":     {"100k", "1M", "10Gbit", "max"},
	"rates":    {"max", "100k", "1M"},
	"sizes":    {"64", "512", "1518", "imix"},
	"duration": {"1s", "10s", "1m"},
	"share":    {"1%", "5%", "10%"},
	"count":    {"1k", "100k", "1M"},
}

// complete says what the flag of a command takes, where the flag itself does not.
func (a *app) complete(c *cobra.Command, f *pflag.Flag) cobra.CompletionFunc {
	several := func(words []string, summary func(string) string) cobra.CompletionFunc {
		return completion.SeveralOf(func() []string { return words }, summary)
	}
	switch c.CommandPath() + " --" + f.Name {
	case "wsk-xdp blast --engine":
		return completion.OneOf(engineNames[:], engineSummary)
	case "wsk-xdp bench --engines":
		return several(bench.Names(), bench.Summary)
	case "wsk-xdp bench latency --engines":
		return several(latency.Engines(), latency.Summary)
	case "wsk-xdp bench latency --measures":
		return several(latency.Measures(), nil)
	case "wsk-xdp bench latency --cpus":
		return completion.OneOf(latency.Placements(), nil)
	case "wsk-xdp bench receive --engines":
		return several(receive.Engines(), receive.Summary)
	case "wsk-xdp bench receive --sender":
		return completion.OneOf(receive.Senders(), nil)
	case "wsk-xdp bench footprint --kinds":
		return several(footprint.Kinds(), footprint.Summary)
	case "wsk-xdp bench scale --engines":
		return several(scale.Names(), scale.Summary)
	}
	form, _ := pflag.UnquoteUsage(f)
	switch f.Name {
	case "netns":
		return completion.Of(netns.Names, nil)
	case "interface":
		if f.Value.Type() == "stringSlice" {
			return completion.SeveralOf(a.interfaceNames, nil)
		}
		return completion.Of(a.interfaceNames, nil)
	case "via":
		return completion.OneOf([]string{"daemon"}, nil)
	case "payload":
		return completion.Beginnings("zero", "text:", "hex:", "@")
	}
	if values := valuesOfForm[form]; values != nil {
		return completion.OneOf(values, nil)
	}
	return nil
}

// interfaceNames are those of the namespace of --netns, none where that can't be entered.
func (a *app) interfaceNames() (names []string) {
	// An error leaves nothing to complete, and there is nowhere to tell it.
	_ = a.withNetNS(func(ns *netns.NS) error {
		return ns.Do(func() error {
			all, err := net.Interfaces()
			for _, one := range all {
				names = append(names, one.Name)
			}
			return err
		})
	})
	slices.Sort(names)
	return names
}

// completeDoctor completes the interface, which stands before the destination.
func (a *app) completeDoctor(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completion.Of(a.interfaceNames, nil)(c, args, begun)
}

// completeFile completes the one file that a command takes.
func completeFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}

// completeReason completes the name of a reason.
func completeReason(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	sentences := map[string]string{}
	var names []string
	for reason := range ipc.Reasons() {
		names = append(names, reason.String())
		sentences[reason.String()] = reason.Sentence()
	}
	return completion.OneOf(names, func(name string) string { return sentences[name] })(c, args, begun)
}
