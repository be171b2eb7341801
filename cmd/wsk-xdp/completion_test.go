// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/completion"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// completed asks as a shell does: the words of a command line, the last one not ended.
func completed(t *testing.T, args ...string) (words []string, directive cobra.ShellCompDirective) {
	t.Helper()
	r := cli(t.Context(), append([]string{cobra.ShellCompRequestCmd}, args...)...)
	r.want(t, 0, "Completion ended")
	rows := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	n, err := strconv.Atoi(strings.TrimPrefix(rows[len(rows)-1], ":"))
	if err != nil {
		t.Fatalf("%q: %v", args, r)
	}
	for _, row := range rows[:len(rows)-1] {
		word, _, _ := strings.Cut(row, "\t")
		words = append(words, word)
	}
	return words, cobra.ShellCompDirective(n)
}

func TestCompletion(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"bl|", "blast"}, {"lab |", "down status up"}, {"blast --engine w|", "wsk"}, {"blast --engine=f|", "frames"}, {"blast 10.77.0.2:9 --flow-order |", "seq random"},
		{"blast --rate-layer |", "l1 l2 payload"}, {"blast --stamp p|", "pktgen"}, {"blast --require |", "afxdp zerocopy"},
		{"blast --mode z|", "zerocopy"}, {"send --checksum |", "auto software partial kernel"}, {"blast -r |", "100k 1M 10Gbit max"},
		{"blast -s i|", "imix"}, {"blast --via |", "daemon"}, {"send --payload t|", "text:"},
		{"recv --engine u|", "udp"}, {"recv --verify |", "payload seq none"},
		{"bench --engines wsk,wsk-k|", "wsk,wsk-kick"}, {"bench --engines udp,u|", ""},
		{"bench latency --cpus |", "apart together free"}, {"bench receive --sender |", "xdp wsk-batch"},
		{"bench footprint --kinds |", ""}, {"help la|", "lab"}, {"man bench l|", "latency"}, {"explain policy.dest|", "policy.destination"},
		{"blast |", ""}, {"replay a.pcap |", ""}, {"replay --rate-layer l|", "l1 l2"}, {"recv :|", ""}, {"doctor lo 10|", ""}, {"blast --ttl |", ""},
	} {
		words, directive := completed(t, strings.Split(strings.TrimSuffix(c.args, "|"), " ")...)
		if c.args == "bench footprint --kinds |" {
			if len(words) < 2 {
				t.Errorf("%s: %v", c.args, words)
			}
		} else if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
		if directive&cobra.ShellCompDirectiveNoFileComp == 0 {
			t.Errorf("%s: a file is no answer, but directive %v", c.args, directive)
		}
	}
	for _, args := range []string{"bench -o |", "daemon --policy |", "status --admin |", "replay |"} {
		if words, directive := completed(t, strings.Split(strings.TrimSuffix(args, "|"), " ")...); len(words) > 0 || directive != 0 {
			t.Errorf("%s: %v, directive %v, want files", args, words, directive)
		}
	}
	words, _ := completed(t, "")
	for _, hidden := range []string{"selftest", "program"} {
		if slices.Contains(words, hidden) || !slices.Contains(words, "doctor") {
			t.Errorf("commands %v", words)
		}
	}
}

// Interfaces are those of the namespace that the command line names.
func TestCompletionOfInterfaces(t *testing.T) {
	_, netns := lab(t, testenv.Topology{NoIPv6: true})
	for _, c := range []struct{ args, want string }{
		{"blast -i w", "wsk0"}, {"doctor w", "wsk0"}, {"recv --interface wsk0,l", "wsk0,lo"}, {"recv -i wsk0,w", ""},
	} {
		words, _ := completed(t, append([]string{netns}, strings.Split(c.args, " ")...)...)
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	if words, _ := completed(t, "--netns=/nonexistent", "doctor", ""); len(words) > 0 {
		t.Errorf("interfaces of a namespace that is not there: %v", words)
	}
}

// What is completed for a flag, the flag takes.
func TestCompletedValuesAreTaken(t *testing.T) {
	a := &app{stdout: os.Stdout, stderr: os.Stderr}
	root := a.command()
	completion.Add(root, a.complete)
	tried := 0
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			complete, ok := c.GetFlagCompletionFunc(f.Name)
			if !ok || f.Name == "netns" {
				return
			}
			values, _ := complete(c, nil, "")
			for _, value := range values {
				value, _, _ = strings.Cut(value, "\t")
				tried++
				if err := f.Value.Set(value); err != nil {
					t.Errorf("%s --%s %s: %v", c.CommandPath(), f.Name, value, err)
				}
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	if tried < 80 {
		t.Errorf("only %d values were tried", tried)
	}
}
