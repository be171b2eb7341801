// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/manual"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// flagInPage is how a page begins to describe a flag.
var flagInPage = regexp.MustCompile(`(?m)^\.TP\n(?:\\fB\\-([A-Za-z0-9])\\fR, )?\\fB\\-\\-([A-Za-z0-9\\-]+)\\fR`)

// The manual pages describe the flags that the commands have, each once, and no others; every command that is shown has
// a page, and the page of its parent names it.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	cli(t.Context(), "man", "--dir", dir).want(t, 0)
	root := (&app{}).command()
	left := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left[e.Name()] = true
	}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		file := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Error(err)
			return
		}
		delete(left, file)
		page := string(text)
		var told, want []string
		for _, m := range flagInPage.FindAllStringSubmatch(page, -1) {
			told = append(told, m[1]+"/"+strings.ReplaceAll(m[2], `\-`, "-"))
		}
		c.InitDefaultHelpFlag()
		c.InitDefaultVersionFlag()
		add := func(f *pflag.Flag) {
			if !f.Hidden {
				want = append(want, f.Shorthand+"/"+f.Name)
			}
		}
		c.InheritedFlags().VisitAll(add)
		c.NonInheritedFlags().VisitAll(add)
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("%s tells of the flags\n%v, the command has\n%v", file, told, want)
		}
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() && c.Name() != "completion" {
				if !strings.Contains(page, "\n\\fB"+strings.ReplaceAll(manual.Name(sub), "-", `\-`)+"\\fR(1)") {
					t.Errorf("%s does not name %s", file, manual.Name(sub))
				}
				visit(sub)
			}
		}
	}
	root.InitDefaultCompletionCmd()
	visit(root)
	if len(left) > 0 {
		t.Errorf("pages of no command: %v", left)
	}
	overview := cli(t.Context(), "man")
	overview.want(t, 0, ".TH \"WSK\\-XDP\" 1")
	if text, err := os.ReadFile(filepath.Join(dir, "wsk-xdp.1")); err != nil || string(text) != overview.stdout {
		t.Errorf("man prints another overview than it writes, %v", err)
	}
	cli(t.Context(), "man", "bench", "latency").want(t, 0, ".TH \"WSK\\-XDP\\-BENCH\\-LATENCY\" 1")
}

func TestManualUsage(t *testing.T) {
	for args, part := range map[string]string{
		"man frobnicate": "no command \"frobnicate\"", "man selftest": "no command", "man blast x": "no command \"blast x\"",
		"man blast --dir /nonexistent": "leave blast out",
	} {
		cli(t.Context(), strings.Fields(args)...).want(t, 2, part, "--help")
	}
	cli(t.Context(), "man", "--dir", "/nonexistent").want(t, 2, "no such file")
}

// What scripts/install.sh puts in place is whole, and --remove takes that away and nothing else.
func TestInstall(t *testing.T) {
	for _, tool := range []string{"sh", "install", "mktemp"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skipf(t, "there is no %s to install with: %v", tool, err)
		}
	}
	dest := t.TempDir()
	script := func(arg string) {
		t.Helper()
		cmd := exec.CommandContext(timeout(t), "sh", "../../scripts/install.sh", arg)
		cmd.Env = append(os.Environ(), "DESTDIR="+dest, "PREFIX=/usr")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("install.sh %s: %v\n%s", arg, err, out)
		}
	}
	foreign := filepath.Join(dest, "usr/share/man/man1/other.1")
	if err := os.MkdirAll(filepath.Dir(foreign), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once more over itself
		script(binary(t))
	}
	there := installed(t, dest)
	for path, part := range map[string]string{
		"usr/bin/wsk-xdp": "", "usr/share/man/man1/wsk-xdp.1": ".TH", "usr/share/man/man1/wsk-xdp-blast.1": `\fB\-\-rate\fR`,
		"usr/share/man/man1/wsk-xdp-lab-up.1":              "lab up",
		"usr/share/bash-completion/completions/wsk-xdp":    "complete -o default -F __start_wsk-xdp wsk-xdp",
		"usr/share/zsh/site-functions/_wsk-xdp":            "#compdef wsk-xdp",
		"usr/share/fish/vendor_completions.d/wsk-xdp.fish": "complete -c wsk-xdp",
		"usr/share/man/man1/wsk-xdp-bench-receive.1":       "bench receive",
	} {
		text, err := os.ReadFile(filepath.Join(dest, path))
		if err != nil || !strings.Contains(string(text), part) {
			t.Errorf("%s has no %q, %v", path, part, err)
		}
		if mode, executable := there[path], path == "usr/bin/wsk-xdp"; (mode&0o111 != 0) != executable {
			t.Errorf("%s has mode %v", path, mode)
		}
	}
	script("--remove")
	if left := installed(t, dest); len(left) != 1 || left["usr/share/man/man1/other.1"] == 0 {
		t.Errorf("left behind: %v", left)
	}
}

// installed are the files below a directory, with their modes.
func installed(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	out := map[string]fs.FileMode{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			out[path] = info.Mode()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
