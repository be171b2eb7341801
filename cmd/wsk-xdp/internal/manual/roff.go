// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"fmt"
	"strings"
)

// page collects the lines of a page.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.Builder, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", quoted(title)) }

// text writes the lines of a help text: an empty one begins a paragraph, what is indented stays as it is, and the rest is
// filled to the width of the reader's terminal.
func (p *page) text(s string) {
	inBlock := false
	block := func(on bool) {
		if on && !inBlock {
			p.line(".PP")
			p.line(".EX")
		}
		if !on && inBlock {
			p.line(".EE")
		}
		inBlock = on
	}
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		switch indented := line != strings.TrimLeft(line, " \t"); {
		case strings.TrimSpace(line) == "":
			block(false)
			p.line(".PP")
		default:
			block(indented)
			p.line("%s", escape(strings.TrimRight(line, " ")))
		}
	}
	block(false)
}

// verbatim writes lines as they are, without the two blanks by which help texts indent them.
func (p *page) verbatim(s string) {
	p.line(".EX")
	for line := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		p.line("%s", escape(strings.TrimPrefix(line, "  ")))
	}
	p.line(".EE")
}

// Characters that mean something to roff, or that it would make typographical ones of: a command in an example is to be
// copied from the page as it is.
var roffNames = map[rune]string{'\\': `\e`, '-': `\-`, '\'': `\(aq`, '`': `\(ga`, '^': `\(ha`, '~': `\(ti`, '"': `\(dq`}

// escape is s as text of a page, on one line.
func escape(s string) string {
	var b strings.Builder
	if strings.HasPrefix(s, ".") {
		b.WriteString(`\&`) // else it would be a request
	}
	for _, r := range s {
		switch name := roffNames[r]; {
		case name != "":
			b.WriteString(name)
		case r == '\t':
			b.WriteString("    ")
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// quoted is s as one argument of a request.
func quoted(s string) string { return `"` + escape(s) + `"` }
