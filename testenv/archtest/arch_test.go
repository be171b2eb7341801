// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the rules of the house that a machine can check: which package may import which, where unsafe
// may stand, and how a file begins.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/wsk-xdp/wsk-xdp/"

// forbidden names, for a package, what must not be among everything it depends on, and why.
var forbidden = []struct {
	pkg, dep, why string
}{
	{"frame", "golang.org/x/", "frame is bytes: standard library only"},
	{"frame", "github.com/", "frame is bytes: standard library only"},
	{"wsk", "golang.org/x/", "wsk is meaning without I/O and runs on any OS"},
	{"wsk", module + "xdp", "wsk declares the Transport that it sends through and knows none"},
	{"wsk", module + "bpf", "wsk declares the Transport that it sends through and knows none"},
	{"wsk", module + "wsk/", "wsk is below its sub-packages"},
	{"wsk", "github.com/cilium", "wsk is meaning without I/O"},
	{"wsk", "github.com/vishvananda", "wsk is meaning without I/O"},
	{"wsk/route", module + "xdp", "routes know nothing of rings"},
	{"wsk/route", module + "frame", "routes know nothing of frames"},
	{"xdp", module + "frame", "xdp sees frames as byte slices"},
	{"xdp", module + "wsk", "xdp is below wsk"},
	{"wsk", module + "testenv", "testenv is for tests, lab and demo"},
	{"frame", module, "frame imports nothing of ours"},
	{"xdp", module + "testenv", "testenv is for tests, lab and demo"},
	{"wsk/route", module + "testenv", "testenv is for tests, lab and demo"},
	{"wsk/datapath", module + "testenv", "testenv is for tests, lab and demo"},
	{"wsk/datapath", "github.com/asavie/xdp", "asavie/xdp is the independent other end"},
	{"xdp", "github.com/asavie/xdp", "asavie/xdp is the independent other end"},
}

func TestDependencyDirections(t *testing.T) {
	for _, f := range forbidden {
		out, err := exec.Command("go", "list", "-deps", module+f.pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go list -deps %s: %v\n%s", f.pkg, err, out)
		}
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			if dep != module+f.pkg && strings.HasPrefix(dep, f.dep) {
				t.Errorf("%s depends on %s: %s", f.pkg, dep, f.why)
			}
		}
	}
}

func TestUnsafeIsFencedIn(t *testing.T) {
	eachGoFile(t, func(path string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range file.Imports {
			if imp.Path.Value == `"unsafe"` && !strings.Contains(filepath.Base(path), "_unsafe") {
				t.Errorf("%s imports unsafe: move it to a file named *_unsafe.go", path)
			}
		}
	})
}

func TestFilesBeginWithLicence(t *testing.T) {
	eachGoFile(t, func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "// SPDX-License-Identifier: ") &&
			!strings.HasPrefix(string(text), "// Code generated ") {
			t.Errorf("%s does not begin with its licence", path)
		}
	})
}

// TestEveryPackageHasOneComment holds doc comments to one place per package.
func TestEveryPackageHasOneComment(t *testing.T) {
	comments := make(map[string][]string)
	eachGoFile(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") && filepath.Base(filepath.Dir(path)) != "archtest" {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		comments[dir] = append(comments[dir], nil...)
		if file.Doc != nil {
			comments[dir] = append(comments[dir], filepath.Base(path))
		}
	})
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s: package comment in %v, want exactly one file", dir, files)
		}
	}
}

func eachGoFile(t *testing.T, do func(path string)) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2:
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".go"):
			do(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
