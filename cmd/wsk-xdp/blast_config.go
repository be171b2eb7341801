// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/runfile"
)

// onceOnly are flags that a run that is repeated does not have of the earlier one: what it wrote is kept, and what it was asked to risk is
// asked again.
var onceOnly = []string{"config", "output", "pcap", "force", "help"}

// blastArguments is the rule for arguments of blast: the destination may be in the file of --config.
func blastArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 && c.Flags().Changed("config") {
		return nil
	}
	return oneDestination(c, args)
}

// fromFile sets what the file of --config says, as far as the command line does not, and returns the arguments. The command line in the
// report is then one that does without the file.
func (a *app) fromFile(c *cobra.Command, path string, args []string) ([]string, error) {
	if !c.Flags().Changed("config") {
		return args, nil
	}
	file, err := runfile.Read(path)
	if err != nil {
		return nil, exit.Usagef("--config: %w", err)
	}
	settings := file.Settings
	if len(file.Command) > 0 {
		if settings, err = settingsOf(c, file.Command); err != nil {
			return nil, exit.Usagef("--config %s: %w", path, err)
		}
	}
	there := map[string]bool{}
	c.Flags().Visit(func(f *pflag.Flag) { there[f.Name] = true })
	set := append([]runfile.Setting{}, given(c.Flags())...)
	for _, s := range settings {
		if s.Name == runfile.Destination {
			if len(args) == 0 {
				args = []string{s.Value}
			}
			continue
		}
		f := c.Flags().Lookup(s.Name)
		switch {
		case f == nil || s.Name == "config" || s.Name == "help":
			return nil, exit.Usagef("--config %s: %q is no flag of %s: keys are the names of flags, without dashes, and destination", path, s.Name, c.CommandPath())
		case there[s.Name]:
			continue
		}
		if err := c.Flags().Set(s.Name, s.Value); err != nil {
			return nil, exit.Usagef("--config %s: %w", path, flagError(c, err))
		}
		set = append(set, s)
	}
	a.line = append(slices.Clone(a.line[:1]), "blast")
	for _, s := range set {
		a.line = append(a.line, fmt.Sprintf("--%s=%s", s.Name, s.Value))
	}
	a.line = append(a.line, args...)
	return args, oneDestination(c, args)
}

// given are the flags of the command line, but for --config, as they are now.
func given(flags *pflag.FlagSet) (out []runfile.Setting) {
	flags.Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = ""
			for i, one := range list.GetSlice() {
				if i > 0 {
					value += ","
				}
				value += one
			}
		}
		if f.Name != "config" {
			out = append(out, runfile.Setting{Name: f.Name, Value: value})
		}
	})
	return out
}

// settingsOf are the flags and the destination of a command line of c, without those that are of one run only.
func settingsOf(c *cobra.Command, line []string) (out []runfile.Setting, err error) {
	about, rest, err := c.Root().Find(line[1:])
	if err != nil || about != c {
		return nil, fmt.Errorf("it is about another command than %s, and repeats nothing of that: %.80q", c.CommandPath(), line)
	}
	err = c.Flags().ParseAll(rest, func(f *pflag.Flag, value string) error {
		if !slices.Contains(onceOnly, f.Name) {
			out = append(out, runfile.Setting{Name: f.Name, Value: value})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("its command line is none of this version: %w", flagError(c, err))
	}
	for _, destination := range c.Flags().Args() {
		out = append(out, runfile.Setting{Name: runfile.Destination, Value: destination})
	}
	return out, nil
}
