// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/exit"
)

// Edition is what pages say of the program that they belong to.
type Edition struct {
	Version string
	Date    string // empty if that is not known
}

// Commands are the commands that have a page, the root first.
func Commands(root *cobra.Command) (out []*cobra.Command) {
	root.InitDefaultCompletionCmd()
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		out = append(out, c)
		if c.Parent() == root && c.Name() == "completion" {
			return // cobra's: what it has for each shell is in the long help of those commands
		}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub)
			}
		}
	}
	visit(root)
	return out
}

// Name is what a command's page is called by: man wsk-xdp-blast.
func Name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// File is the name of the file of a command's page.
func File(c *cobra.Command) string { return Name(c) + ".1" }

// Page is the manual page of a command, in roff.
func Page(c *cobra.Command, e Edition) []byte {
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	p := &page{}
	p.line(".TH %s 1 %s %s %s", quoted(strings.ToUpper(Name(c))), quoted(e.Date), quoted("wsk-xdp "+e.Version), quoted("User Commands"))
	p.line(".nh") // names of flags are not hyphenated
	p.line(".ad l")
	p.section("NAME")
	p.line(`%s \- %s`, escape(Name(c)), escape(begunSmall(c.Short)))
	p.synopsis(c)
	p.section("DESCRIPTION")
	p.text(cmp.Or(c.Long, c.Short+"."))
	p.commands(c)
	p.flags("OPTIONS", c.NonInheritedFlags())
	p.flags("GLOBAL OPTIONS", c.InheritedFlags())
	p.exitStatus()
	if c.HasExample() {
		p.section("EXAMPLES")
		p.verbatim(c.Example)
	}
	p.seeAlso(c)
	return []byte(p.String())
}

// begunSmall is a sentence as it stands behind a dash: with a small letter, unless it begins with a name.
func begunSmall(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if second, _ := utf8.DecodeRuneInString(s[n:]); unicode.IsUpper(second) {
		return s
	}
	return string(unicode.ToLower(first)) + s[n:]
}

func (p *page) synopsis(c *cobra.Command) {
	p.section("SYNOPSIS")
	form := func(rest string) {
		p.line(`\fB%s\fR%s`, escape(c.CommandPath()), escape(rest))
		p.line(".br")
	}
	if c.Runnable() {
		form(strings.TrimPrefix(c.UseLine(), c.CommandPath()))
	}
	if c.HasAvailableSubCommands() {
		form(" COMMAND [flags]")
	}
	if len(c.Aliases) > 0 {
		p.line(".PP")
		p.line("Also called %s.", escape(strings.Join(c.Aliases, ", ")))
	}
}

func (p *page) commands(c *cobra.Command) {
	if !c.HasAvailableSubCommands() {
		return
	}
	p.section("COMMANDS")
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			p.line(".TP")
			p.line(`\fB%s\fR`, escape(sub.Name()))
			p.line("%s.", escape(sub.Short))
		}
	}
}

// flags describes each flag as --help does.
func (p *page) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.section(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		// The help text of a set with this flag alone has the flag, three blanks, and what is said of it.
		one := pflag.NewFlagSet("", pflag.ContinueOnError)
		one.AddFlag(f)
		term, said, _ := strings.Cut(strings.TrimSpace(one.FlagUsages()), "   ")
		_, value, _ := strings.Cut(term, "--"+f.Name)
		p.line(".TP")
		name := `\fB` + escape("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			name = `\fB` + escape("-"+f.Shorthand) + `\fR, ` + name
		}
		if value = strings.TrimSpace(value); value != "" {
			name += ` \fI` + escape(value) + `\fR`
		}
		p.line("%s", name)
		p.line("%s", escape(strings.Join(strings.Fields(said), " ")))
	})
}

func (p *page) exitStatus() {
	p.section("EXIT STATUS")
	for code, meaning := range exit.Meanings() {
		p.line(".TP")
		p.line(`\fB%d\fR`, code)
		p.line("%s.", escape(meaning))
	}
}

func (p *page) seeAlso(c *cobra.Command) {
	var names []string
	for up := c.Parent(); up != nil; up = up.Parent() {
		names = append(names, Name(up))
	}
	for _, other := range Commands(c.Root()) {
		if other.Parent() == c {
			names = append(names, Name(other))
		}
	}
	if len(names) == 0 {
		return
	}
	p.section("SEE ALSO")
	for i, name := range names {
		comma := ","
		if i == len(names)-1 {
			comma = ""
		}
		p.line(`\fB%s\fR(1)%s`, escape(name), comma)
	}
}
