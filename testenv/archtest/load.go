// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Module is the path of this module. Package paths in this package are relative to it: "wsk/datapath".
const Module = "github.com/wsk-xdp/wsk-xdp"

// A Package is one package of this module as the compiler sees it for this system, without its test files.
type Package struct {
	Path        string
	Dir         string
	Imports     []string // full paths, of the files that are no tests
	TestImports []string // full paths, of the tests inside and outside the package

	Fset  *token.FileSet
	Files []*ast.File
	Types *types.Package
	Info  *types.Info
}

// listed is what we ask `go list` for.
type listed struct {
	ImportPath, Dir, Export            string
	Module                             *struct{ Path string }
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
	Error                              *struct{ Err string }
}

// Load reads the packages of this module that match the patterns of the go command, with types; without patterns all
// of them. The types of what they import come from the build cache, which is what makes it fast.
func Load(patterns ...string) ([]*Package, error) {
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	all, wanted, err := list(patterns)
	if err != nil {
		return nil, err
	}
	exports := make(map[string]string, len(all))
	for _, l := range all {
		exports[l.ImportPath] = l.Export
	}
	imports := &importOnce{from: importer.ForCompiler(fileSet, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no types of %s in the build cache", path)
		}
		return os.Open(exports[path])
	})}
	packages := make([]*Package, len(wanted))
	failures := make([]error, len(wanted))
	var work sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, l := range wanted {
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			packages[i], failures[i] = check(l, imports)
		})
	}
	work.Wait()
	slices.SortFunc(packages, func(a, b *Package) int { return cmp.Compare(a.Path, b.Path) })
	return packages, errors.Join(failures...)
}

// list asks the go command for the packages that match, and for all that these depend on.
func list(patterns []string) (all, wanted []listed, err error) {
	root, err := Root()
	if err != nil {
		return nil, nil, err
	}
	matched, err := goList(root, patterns, "-f", "{{.ImportPath}}")
	if err != nil {
		return nil, nil, err
	}
	isWanted := make(map[string]bool)
	for path := range strings.FieldsSeq(string(matched)) {
		isWanted[path] = true
	}
	text, err := goList(root, patterns, "-export", "-deps",
		"-json=ImportPath,Dir,Export,Module,GoFiles,Imports,TestImports,XTestImports,Error")
	if err != nil {
		return nil, nil, err
	}
	for in := json.NewDecoder(bytes.NewReader(text)); ; {
		var l listed
		if err := in.Decode(&l); err == io.EOF {
			return all, wanted, nil
		} else if err != nil {
			return nil, nil, fmt.Errorf("go list: %w", err)
		}
		if l.Error != nil {
			return nil, nil, fmt.Errorf("go list: %s", l.Error.Err)
		}
		all = append(all, l)
		if isWanted[l.ImportPath] && l.Module != nil && l.Module.Path == Module && len(l.GoFiles) > 0 {
			wanted = append(wanted, l)
		}
	}
}

func goList(root string, patterns []string, flags ...string) ([]byte, error) {
	var complaint bytes.Buffer
	c := exec.Command("go", append(append([]string{"list"}, flags...), patterns...)...)
	c.Dir, c.Stderr = root, &complaint
	text, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w\n%s", strings.Join(patterns, " "), err, complaint.Bytes())
	}
	return text, nil
}

// Root is the directory of go.mod.
func Root() (string, error) { return root() }

var root = sync.OnceValues(func() (string, error) {
	text, err := exec.Command("go", "env", "GOMOD").Output()
	path := strings.TrimSpace(string(text))
	if err != nil || path == "" || path == os.DevNull {
		return "", fmt.Errorf("no go.mod above the working directory (go env GOMOD: %q, %v)", path, err)
	}
	return filepath.Dir(path), nil
})

// check parses and checks one package.
func check(l listed, imports types.Importer) (*Package, error) {
	p := &Package{
		Path:        Short(l.ImportPath),
		Dir:         l.Dir,
		Imports:     l.Imports,
		TestImports: append(l.TestImports, l.XTestImports...),
		Fset:        fileSet,
		Info: &types.Info{
			Defs: make(map[*ast.Ident]types.Object),
			Uses: make(map[*ast.Ident]types.Object),
		},
	}
	for _, name := range l.GoFiles {
		file, err := parse(filepath.Join(l.Dir, name))
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, file.tree)
	}
	conf := types.Config{Importer: imports}
	var err error
	p.Types, err = conf.Check(l.ImportPath, p.Fset, p.Files, p.Info)
	return p, err
}

// importOnce reads the types of a package once for all who import it, which is most of the work otherwise.
type importOnce struct {
	mu   sync.Mutex
	from types.Importer
}

// Import implements types.Importer.
func (i *importOnce) Import(path string) (*types.Package, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.from.Import(path)
}

// Short is the path of a package within this module: "wsk/datapath". Paths of other modules stay as they are.
func Short(path string) string { return strings.TrimPrefix(path, Module+"/") }
