// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/completion"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/host"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/units"
)

// What the libraries say about a wrong command line names their own types and functions. Here it becomes a sentence
// with the flag or the argument, what is wrong with it, and what to write instead.

// oneDestination is the rule for arguments of commands that send.
func oneDestination(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return exit.Usagef("give DST:PORT, as in %s 10.77.0.2:9000", c.CommandPath())
	case len(args) > 1:
		return exit.Usagef("give one DST:PORT, not %d arguments: %s", len(args), strings.Join(args, " "))
	}
	return nil
}

// noArguments is the rule for commands that take flags only.
func noArguments(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasAvailableSubCommands():
		return exit.Usagef("unknown command %q: see its list", args[0])
	}
	return exit.Usagef("takes no argument, but was given %q", args[0])
}

// atMost is the rule for arguments of commands that take some or none.
func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return exit.Usagef("takes %s at most, but was given %d: %s", units.Plural(n, "argument"), len(args), strings.Join(args, " "))
		}
		return nil
	}
}

// commandError gives an error of the command line that the library found its form: the suggestions for a mistyped
// command go into the same line.
func commandError(err error) error {
	text, rest, found := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	if !found {
		return exit.Usagef("%w", err)
	}
	return exit.Usagef("%s: did you mean %s?", text, strings.Join(strings.Fields(rest), " or "))
}

// flagError says what is wrong with a flag.
func flagError(_ *cobra.Command, err error) error {
	var (
		value    *pflag.InvalidValueError
		missing  *pflag.ValueRequiredError
		notThere *pflag.NotExistError
	)
	switch {
	case errors.As(err, &value):
		return exit.Usagef("%s", valueSentence(value.GetFlag(), value.GetValue(), value.Unwrap()))
	case errors.As(err, &missing):
		return exit.Usagef("--%s needs a value behind it", missing.GetFlag().Name)
	case errors.As(err, &notThere) && notThere.GetSpecifiedShortnames() != "":
		return exit.Usagef("unknown flag: -%s", notThere.GetSpecifiedName())
	}
	return exit.Usagef("%w", err)
}

// valueSentence is about a value that its flag does not take. cause is what the flag's own type says.
func valueSentence(f *pflag.Flag, given string, cause error) string {
	switch f.Value.Type() {
	case "int":
		return fmt.Sprintf("--%s %s", f.Name, numberSentence(given))
	case "intSlice":
		for word := range strings.SplitSeq(given, ",") {
			if _, err := strconv.Atoi(word); err != nil {
				return fmt.Sprintf("--%s %s: write numbers with commas between, as in 64,1518", f.Name, numberSentence(word))
			}
		}
	case "uint64":
		return fmt.Sprintf("--%s %s", f.Name, numberSentence(given))
	case "bool":
		return fmt.Sprintf("--%s %q is neither true nor false: leave the value out for true", f.Name, given)
	case "stringSlice":
		return fmt.Sprintf("--%s %q is no list: write words with commas between, and no quotation marks", f.Name, given)
	}
	return fmt.Sprintf("--%s: %v", f.Name, cause)
}

func numberSentence(given string) string {
	if digits := strings.TrimLeft(given, "+-"); digits != "" && strings.Trim(digits, "0123456789") == "" {
		return given + " is too large a number"
	}
	return strconv.Quote(given) + " is no whole number"
}

// helpCommand is `help COMMAND`, which people try before --help.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Print what --help prints", Example: "  wsk-xdp help blast",
		ValidArgsFunction: completion.Commands,
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return exit.Usagef("there is no command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag() // --help does both before it prints
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}

// describe gives the root --version and `help`, and all commands sentences for wrong command lines.
func describe(root *cobra.Command) {
	root.Version = host.ReadBuild().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand())
}
