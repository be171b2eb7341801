// SPDX-License-Identifier: Apache-2.0

package completion

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Asked is whether a command line is a shell's question and not a command.
func Asked(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// Add has the flags of all commands completed. of is asked first what a flag takes; nil leaves it to what the flag
// itself says: the words of its form, or a file. Nothing is completed with a file that takes none.
func Add(root *cobra.Command, of func(*cobra.Command, *pflag.Flag) cobra.CompletionFunc) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		add := func(f *pflag.Flag) {
			complete := of(c, f)
			if complete == nil {
				complete = ofForm(f)
			}
			if complete != nil {
				// The error is of a flag that is not there, or has one already: those that commands inherit.
				_ = c.RegisterFlagCompletionFunc(f.Name, complete)
			}
		}
		c.PersistentFlags().VisitAll(add)
		c.Flags().VisitAll(add)
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

// ofForm completes what the help text of a flag says that it takes.
func ofForm(f *pflag.Flag) cobra.CompletionFunc {
	switch form, _ := pflag.UnquoteUsage(f); form {
	case "file", "path":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case "directory":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	default:
		if words := strings.Split(form, "|"); len(words) > 1 {
			return OneOf(words, nil)
		}
	}
	return nil
}

// OneOf completes one of several words, in their order. summary describes each, nil for no description.
func OneOf(words []string, summary func(string) string) cobra.CompletionFunc {
	return Of(func() []string { return words }, summary)
}

// Of is OneOf for words that are looked up when they are needed.
func Of(words func() []string, summary func(string) string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return beginning(words(), begun, "", summary), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// Beginnings completes words behind which something more may come, without a blank.
func Beginnings(words ...string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return beginning(words, begun, "", nil),
			cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder | cobra.ShellCompDirectiveNoSpace
	}
}

// SeveralOf completes the last of several words with commas between, each once.
func SeveralOf(words func() []string, summary func(string) string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		before := begun[:strings.LastIndexByte(begun, ',')+1]
		left := slices.DeleteFunc(slices.Clone(words()), func(word string) bool {
			return slices.Contains(strings.Split(before, ","), word)
		})
		// No blank behind it, since a comma may follow.
		return beginning(left, begun, before, summary),
			cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder | cobra.ShellCompDirectiveNoSpace
	}
}

// beginning are the words that begin as the user did, with what stands before them.
func beginning(words []string, begun, before string, summary func(string) string) (out []string) {
	for _, word := range words {
		if !strings.HasPrefix(before+word, begun) {
			continue
		}
		word := word
		if said := ""; summary != nil {
			if said = summary(word); said != "" {
				word = cobra.CompletionWithDesc(word, said)
			}
		}
		out = append(out, before+word)
	}
	return out
}

// Commands completes the name of a command, and those of its subcommands behind it.
func Commands(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var out []string
	at, rest, err := c.Root().Find(args)
	if err == nil && len(rest) == 0 {
		for _, sub := range at.Commands() {
			if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), begun) {
				out = append(out, cobra.CompletionWithDesc(sub.Name(), sub.Short))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
