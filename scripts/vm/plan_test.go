// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlan: the full plan has everything that the short one has, and every guest asks doctor.
func TestPlan(t *testing.T) {
	short, err := plan(checkout, false)
	if err != nil {
		t.Fatal(err)
	}
	full, err := plan(checkout, true)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, g := range full {
		for _, s := range g.steps {
			has[g.kernel+g.setup.Name+s.name] = true
		}
		if g.steps[0].name != "doctor" {
			t.Errorf("%s, %s: no doctor", g.kernel, g.setup.Name)
		}
		if want := slices.Contains(zeroCopyKernels, g.kernel); len(g.setup.NICs) > 0 && want != (len(g.steps) > 1) {
			t.Errorf("%s, %s: tests for network cards: %v, want %v", g.kernel, g.setup.Name, !want, want)
		}
	}
	for _, g := range short {
		for _, s := range g.steps {
			if !has[g.kernel+g.setup.Name+s.name] {
				t.Errorf("%s, %s, %s is in the short plan only", g.kernel, g.setup.Name, s.name)
			}
		}
	}
	for _, k := range kernels {
		if !has[k+"veth"+"doctor"] {
			t.Errorf("no guest with %s", k)
		}
	}
}

func TestPlannedPackagesAreThere(t *testing.T) {
	guests, err := plan(checkout, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range guests {
		for _, s := range g.steps {
			if s.pkg == "" {
				continue
			}
			if found, err := filepath.Glob(filepath.Join(checkout, s.pkg, "*_test.go")); err != nil || len(found) == 0 {
				t.Errorf("%s has no tests (%v)", s.pkg, err)
			}
			if !strings.Contains(" "+s.line, " "+testBinary(s.pkg)+" ") {
				t.Errorf("%s: %s", s.pkg, s.line)
			}
		}
	}
}

func TestPackagesWith(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/x_test.go":     "package a\nfunc TestNICsend(t *testing.T) {}\n",
		"a/y_test.go":     "package a\nfunc TestNICrecv(t *testing.T) {}\n",
		"b/c/x_test.go":   "package c\n\nfunc TestNIC(t *testing.T) {}\n",
		"d/x_test.go":     "package d\n// func TestNIC would be one\n",
		"e/x.go":          "package e\nfunc TestNICnot(t *testing.T) {}\n",
		".hid/x_test.go":  "package hid\nfunc TestNIC(t *testing.T) {}\n",
		"f/g_test.go.txt": "func TestNIC\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := packagesWith(root, "TestNIC")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "b/c"}, got); d != "" {
		t.Error(d)
	}
}

func TestQuote(t *testing.T) {
	got := quote([]string{"a", "-run=^T|x$", "it's", "", "$HOME"})
	if want := `a '-run=^T|x$' 'it'\''s' '' '$HOME'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
