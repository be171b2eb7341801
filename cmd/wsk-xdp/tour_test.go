// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

const (
	tourPage    = "../../docs/tour.md"
	tourDrawing = "../../docs/tour.svg"
)

// step is a command of the tour and what stands below it. In another terminal it goes on beside those that follow, to the end of its
// block, where its output stands as well.
type step struct {
	prompt, command string
	output          string
}

// tourBlocks cuts the page into text and blocks of steps, in turn.
func tourBlocks(page string) (texts []string, blocks [][]step) {
	const begin, end = "```console\n", "```\n"
	for {
		text, rest, ok := strings.Cut(page, begin)
		texts = append(texts, text)
		if !ok {
			return texts, blocks
		}
		body, after, _ := strings.Cut(rest, end)
		var steps []step
		for line := range strings.Lines(body) {
			if prompt, command, ok := strings.Cut(line, "$ "); ok && (prompt == "" || prompt == "B") {
				steps = append(steps, step{prompt: prompt, command: strings.TrimSpace(command)})
				continue
			}
			steps[len(steps)-1].output += line
		}
		blocks, page = append(blocks, steps), after
	}
}

// quick makes the highest rate of the tour a fifth of what stands there: with the race detector that is most of the work, and what is said
// is the same but for figures.
var quick = strings.NewReplacer(" -r 20k ", " -r 4k ")

// tourScript is a shell script that does all steps and leaves the output of each in a file.
func tourScript(blocks [][]step) string {
	var s strings.Builder
	s.WriteString("mount -t tmpfs run /run || exit 99\nexport TERM=dumb LC_ALL=C.UTF-8\nsudo() { \"$@\"; }\nexport -f sudo\n")
	rate := quick.Replace
	if *update {
		rate = func(command string) string { return command }
	}
	for i, steps := range blocks {
		last := "" // what somebody ends who looks at the other terminal
		for j, st := range steps {
			file := fmt.Sprintf("out.%d.%d", i, j)
			if st.prompt == "B" {
				fmt.Fprintf(&s, "setsid bash -c %s >%s 2>&1 &\n", quoted(rate(st.command)), file)
				fmt.Fprintf(&s, "until grep -q '^  engine' %s || ! kill -0 $! 2>/dev/null; do sleep 0.02; done\n", file) // it listens
				if !strings.Contains(st.command, "--one-off") {
					last = "kill -TERM -- -$!\n"
				}
				continue
			}
			fmt.Fprintf(&s, "bash -c %s >%s 2>&1\n", quoted(rate(st.command)), file)
		}
		s.WriteString(last + "wait\n")
	}
	return s.String()
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// take goes on the tour in a directory of its own and returns it with what was said.
func take(t *testing.T, blocks [][]step, as *syscall.Credential, namespaces string) (dir string, said [][]step) {
	t.Helper()
	dir = filepath.Dir(binary(t))
	if as != nil {
		must(t, os.Chown(dir, int(as.Uid), int(as.Gid)))
	}
	cmd := exec.CommandContext(timeout(t), "unshare", namespaces, "bash", "-c", tourScript(blocks))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	if as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, steps := range blocks {
		steps = slices.Clone(steps)
		for j := range steps {
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("out.%d.%d", i, j)))
			must(t, err)
			steps[j].output = string(b)
		}
		said = append(said, steps)
	}
	return dir, said
}

// ofThisRun are lines that a run may have or not: what went wrong or slowly in it, and where it was.
var ofThisRun = regexp.MustCompile(`^ *(!|the (rate|processor)|pacing|interrupted)`)

// shape is the first word of each line. Figures, and numbers of runs, are masked; of the lines of a histogram there may be any number.
func shape(output string) (out []string) {
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) == 0 || ofThisRun.MatchString(line) {
			continue
		}
		if figure.MatchString(words[0]) {
			words[0] = "N"
		}
		out = append(out, words[0])
	}
	return slices.Compact(out)
}

var figure = regexp.MustCompile(`^([0-9][0-9,.]*(ns|µs|ms|s)?|[0-9a-f]{4})$`)

// The first ten minutes of a user are as docs/tour.md has them, for root and for an ordinary user in namespaces of their own: each
// command says what stands there, but for the figures. With -update the page and its drawing are written anew.
func TestTour(t *testing.T) {
	testenv.Require(t, testenv.NetNS|testenv.AFXDP)
	page, err := os.ReadFile(tourPage)
	must(t, err)
	texts, blocks := tourBlocks(string(page))
	ordinary := &syscall.Credential{Uid: testenv.OrdinaryUser(), Gid: testenv.OrdinaryUser()}
	if testenv.Check(testenv.Root) == nil {
		dir, said := take(t, blocks, nil, "-nm")
		if *update {
			if busy := unreached(said); busy != "" {
				t.Fatalf("%s: the rate was not reached: this machine has too much else to do for a page that others learn from", busy)
			}
			writeTour(t, dir, texts, said)
			blocks = said
		}
		compareTour(t, "root", blocks, said, dir)
	} else {
		ordinary = nil
	}
	testenv.UsualMemlockT(t)
	dir, said := take(t, blocks, ordinary, "-Urnm")
	compareTour(t, "an ordinary user", blocks, said, dir)
}

// unreached is the first blast that has a verdict, if that says that it was too slow.
func unreached(said [][]step) (command string) {
	for _, steps := range said {
		for _, st := range steps {
			_, verdict, ok := strings.Cut(st.output, "\nverdict ")
			if !ok || !strings.Contains(st.command, " blast ") {
				continue
			}
			if strings.Contains(verdict, "the rate was not reached") {
				return st.command
			}
			return ""
		}
	}
	return ""
}

func TestUnreached(t *testing.T) {
	blast := func(verdict string) step {
		return step{command: "wsk-xdp blast :9", output: "cost 1 CPU\nverdict     " + verdict + "\n"}
	}
	const slow = "the rate was not reached; limited by the processor"
	recv := step{command: "wsk-xdp recv :9", output: "came 1\nverdict " + slow + "\n"}
	if got := unreached([][]step{{recv, blast(slow)}}); got != "wsk-xdp blast :9" {
		t.Errorf("a slow blast: %q", got)
	}
	if got := unreached([][]step{{recv}, {blast("ok")}, {blast(slow)}}); got != "" {
		t.Errorf("a first blast that was fast enough: %q", got)
	}
}

func compareTour(t *testing.T, who string, want, said [][]step, dir string) {
	t.Helper()
	for i, steps := range said {
		for j, st := range steps {
			if is, want := shape(st.output), shape(want[i][j].output); !slices.Equal(is, want) {
				t.Errorf("%s, %s: says\n%s\nlines %q\nwant  %q", who, st.command, st.output, is, want)
			}
		}
	}
	html, err := os.ReadFile(filepath.Join(dir, "run.html"))
	must(t, err)
	if n := strings.Count(string(html), "<svg"); n < 5 {
		t.Errorf("%s: the page has %d plots", who, n)
	}
}

// writeTour writes the page, and the first drawing of its report as a file of its own, light or dark as whoever looks at it.
func writeTour(t *testing.T, dir string, texts []string, said [][]step) {
	t.Helper()
	var page strings.Builder
	for i, text := range texts {
		page.WriteString(text)
		if i == len(said) {
			break
		}
		page.WriteString("```console\n")
		for _, st := range said[i] {
			fmt.Fprintf(&page, "%s$ %s\n%s", st.prompt, st.command, trimmed(st.output))
		}
		page.WriteString("```\n")
	}
	must(t, os.WriteFile(tourPage, []byte(page.String()), 0o644))
	html, err := os.ReadFile(filepath.Join(dir, "run.html"))
	must(t, err)
	_, style, _ := strings.Cut(string(html), "<style>")
	style, rest, _ := strings.Cut(style, "</style>")
	_, svg, _ := strings.Cut(rest, "<svg ")
	svg, _, ok := strings.Cut(svg, "</svg>")
	if !ok {
		t.Fatal("the page has no drawing")
	}
	var rules []string
	for line := range strings.Lines(style) {
		for _, of := range []string{":root", "@media", "  :root", "}", "text", ".grid", ".line", ".mark"} {
			if strings.HasPrefix(line, of) {
				rules = append(rules, line)
				break
			}
		}
	}
	tag, body, _ := strings.Cut(svg, ">")
	svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"system-ui, sans-serif\" " + tag + ">\n<style>\n" + strings.Join(rules, "") +
		"</style>\n<rect width=\"100%\" height=\"100%\" style=\"fill: var(--card)\"/>" + body + "</svg>\n"
	must(t, os.WriteFile(tourDrawing, []byte(svg), 0o644))
}

// trimmed is an output without spaces at the ends of lines and without empty lines at its own.
func trimmed(s string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if out := strings.Trim(out.String(), "\n"); out != "" {
		return out + "\n"
	}
	return ""
}
