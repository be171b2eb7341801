// SPDX-License-Identifier: Apache-2.0

package wsk

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoNTSTATUSInError: STATUS_SUCCESS in an error is not nil, so only Err makes an error of a status. Returns,
// assignments, declarations and call arguments are looked at.
func TestNoNTSTATUSInError(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if bad := statusInError(t, fset, files); len(bad) != 0 {
		t.Errorf("an NTSTATUS becomes an error other than by Err:\n%s", strings.Join(bad, "\n"))
	}
}

// The check itself finds each wrong form, and accepts the right one.
func TestNoNTSTATUSInErrorFinds(t *testing.T) {
	const source = `package wsk
type NTSTATUS uint32
const STATUS_SUCCESS NTSTATUS = 0
func (s NTSTATUS) Error() string { return "" }
func (s NTSTATUS) Err() error { if s == 0 { return nil }; return s } // the bridge
func good() error { return STATUS_SUCCESS.Err() }
func returned() error { return STATUS_SUCCESS }
func pair() (int, error) { return 0, STATUS_SUCCESS }
func assigned() { var err error; err = STATUS_SUCCESS; _ = err }
func declared() { var err error = STATUS_SUCCESS; _ = err }
func passed() { takes(STATUS_SUCCESS) }
func takes(err error) {}
func literal() func() error { return func() error { return STATUS_SUCCESS } }
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "source.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if bad := statusInError(t, fset, []*ast.File{f}); len(bad) != 6 {
		t.Errorf("found %d of 6:\n%s", len(bad), strings.Join(bad, "\n"))
	}
}

func statusInError(t *testing.T, fset *token.FileSet, files []*ast.File) (bad []string) {
	info := types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", exportData(t))}
	if _, err := config.Check("wsk", fset, files, &info); err != nil {
		t.Fatal(err)
	}
	isError := func(typ types.Type) bool { return types.Identical(typ, types.Universe.Lookup("error").Type()) }
	check := func(target types.Type, e ast.Expr) {
		named, ok := info.Types[e].Type.(*types.Named)
		if ok && named.Obj().Name() == "NTSTATUS" && target != nil && isError(target) {
			bad = append(bad, fset.Position(e.Pos()).String())
		}
	}
	var walk func(n ast.Node, results *types.Tuple)
	walk = func(n ast.Node, results *types.Tuple) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name != "Err" && n.Body != nil {
					walk(n.Body, info.Defs[n.Name].Type().(*types.Signature).Results())
				}
				return false
			case *ast.FuncLit:
				walk(n.Body, info.Types[n].Type.(*types.Signature).Results())
				return false
			case *ast.ReturnStmt:
				for i, e := range n.Results {
					if results.Len() == len(n.Results) {
						check(results.At(i).Type(), e)
					}
				}
			case *ast.AssignStmt:
				for i, e := range n.Rhs {
					if n.Tok == token.ASSIGN && len(n.Lhs) == len(n.Rhs) {
						check(info.Types[n.Lhs[i]].Type, e)
					}
				}
			case *ast.ValueSpec:
				for _, e := range n.Values {
					if n.Type != nil {
						check(info.Types[n.Type].Type, e)
					}
				}
			case *ast.CallExpr:
				sig, ok := info.Types[n.Fun].Type.(*types.Signature)
				for i, e := range n.Args {
					if ok && i < sig.Params().Len() {
						check(sig.Params().At(i).Type(), e)
					}
				}
			}
			return true
		})
	}
	for _, f := range files {
		walk(f, nil)
	}
	return bad
}

// exportData finds what the compiler wrote of the packages that this one imports, for the importer.
func exportData(t *testing.T) importer.Lookup {
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(files[path]) }
}
