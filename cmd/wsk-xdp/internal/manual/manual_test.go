// SPDX-License-Identifier: Apache-2.0

package manual

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// example is a program with a bit of everything.
func example() *cobra.Command {
	root := &cobra.Command{Use: "tool", Short: "UDP tools", Long: "First line\nand second.\n\nengines:\n  a-b   one\n  c     two"}
	root.PersistentFlags().String("everywhere", "", "is inherited")
	verb := &cobra.Command{
		Use: "verb ARG", Aliases: []string{"word"}, Short: "Do it", Example: "  tool verb 'x y' --rate 5 \\\n  .next",
		Run: func(*cobra.Command, []string) {},
	}
	verb.Flags().IntP("rate", "r", 5, "`packets` a second,\n10% of a \\ back-slash, µs")
	verb.Flags().Bool("secret", false, "")
	if err := verb.Flags().MarkHidden("secret"); err != nil {
		panic(err)
	}
	root.AddCommand(verb, &cobra.Command{Use: "inner", Hidden: true, Run: verb.Run})
	return root
}

func TestPage(t *testing.T) {
	root := example()
	var files []string
	for _, c := range Commands(root) {
		files = append(files, File(c))
	}
	if got := strings.Join(files, " "); got != "tool.1 tool-completion.1 tool-verb.1" {
		t.Errorf("pages %s", got)
	}
	verb, _, err := root.Find([]string{"verb"})
	if err != nil {
		t.Fatal(err)
	}
	edition := Edition{Version: "1.2", Date: "2026-01-02"}
	page := string(Page(verb, edition))
	for _, want := range []string{
		".TH \"TOOL\\-VERB\" 1 \"2026\\-01\\-02\" \"wsk\\-xdp 1.2\" \"User Commands\"\n",
		".SH \"NAME\"\ntool\\-verb \\- do it\n", "\\fBtool verb\\fR ARG [flags]\n", "Also called word.\n",
		".TP\n\\fB\\-r\\fR, \\fB\\-\\-rate\\fR \\fIpackets\\fR\npackets a second, 10% of a \\e back\\-slash, \\[u00B5]s (default 5)\n",
		".SH \"GLOBAL OPTIONS\"\n.TP\n\\fB\\-\\-everywhere\\fR \\fIstring\\fR\nis inherited\n",
		".EX\ntool verb \\(aqx y\\(aq \\-\\-rate 5 \\e\n\\&.next\n.EE\n", "\\fB2\\fR\n", "\\fBtool\\fR(1)\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	if strings.Contains(page, "secret") {
		t.Errorf("a hidden flag is told:\n%s", page)
	}
	page = string(Page(root, edition))
	for _, want := range []string{
		"tool \\- UDP tools\n", "First line\nand second.\n.PP\nengines:\n.PP\n.EX\n  a\\-b   one\n  c     two\n.EE\n", "\\fBtool\\fR COMMAND [flags]\n",
		".SH \"COMMANDS\"\n", ".TP\n\\fBverb\\fR\nDo it.\n", "\\fBtool\\-completion\\fR(1),\n\\fBtool\\-verb\\fR(1)\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing in\n%s", want, page)
		}
	}
	if strings.Contains(page, "inner") {
		t.Errorf("a hidden command is told:\n%s", page)
	}
	// Whatever a text begins with, no line of the page becomes a request that none was meant to be.
	for line := range strings.Lines(page) {
		if request, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(request, "'") ||
			strings.HasPrefix(request, ".") && !strings.Contains(" .TH .nh .ad .SH .PP .TP .br .EX .EE ", " "+request+" ") {
			t.Errorf("line %q", line)
		}
	}
}
