// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagSource is what the sources say about flags: what a flag is stored in, by its name, and how often something of
// that name is read.
type flagSource struct {
	stored map[string][]string
	reads  map[string]int
}

func (s *flagSource) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.CallExpr:
		// x.StringVarP(&variable, "name", …), x.Var(&variable, "name", …)
		method, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || len(n.Args) < 3 || !strings.HasSuffix(strings.TrimSuffix(method.Sel.Name, "P"), "Var") {
			return s
		}
		target := n.Args[0]
		if c, ok := target.(*ast.CallExpr); ok && len(c.Args) == 1 { // (*units.Duration)(&variable)
			target = c.Args[0]
		}
		variable, ok1 := target.(*ast.UnaryExpr)
		literal, ok2 := n.Args[1].(*ast.BasicLit)
		if ok1 && ok2 && variable.Op == token.AND {
			name, _ := strconv.Unquote(literal.Value)
			s.stored[name] = append(s.stored[name], nameOf(variable.X))
			for _, arg := range n.Args[2:] {
				ast.Walk(s, arg)
			}
			return nil
		}
	case *ast.AssignStmt:
		for _, right := range n.Rhs {
			ast.Walk(s, right)
		}
		return nil // what is only written to is not read
	case *ast.ValueSpec:
		for _, value := range n.Values {
			ast.Walk(s, value)
		}
		return nil
	case *ast.Field, *ast.KeyValueExpr:
		if pair, ok := n.(*ast.KeyValueExpr); ok {
			ast.Walk(s, pair.Value)
		}
		return nil
	case *ast.SelectorExpr:
		s.reads[n.Sel.Name]++
		ast.Walk(s, n.X)
		return nil
	case *ast.Ident:
		s.reads[n.Name]++
	}
	return s
}

func nameOf(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// Every flag that help texts show is stored in a variable that is also read elsewhere: none is without effect.
func TestEveryFlagIsRead(t *testing.T) {
	source := &flagSource{stored: map[string][]string{}, reads: map[string]int{}}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			ast.Walk(source, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	flags := 0
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		look := func(f *pflag.Flag) {
			if f.Hidden {
				return // no user's
			}
			flags++
			stored := source.stored[f.Name]
			if len(stored) == 0 {
				t.Errorf("%s --%s: not found in the sources", c.CommandPath(), f.Name)
			}
			for _, variable := range stored {
				if source.reads[variable] == 0 {
					t.Errorf("%s --%s is stored in %s, which nothing reads", c.CommandPath(), f.Name, variable)
				}
			}
		}
		c.LocalNonPersistentFlags().VisitAll(look)
		c.PersistentFlags().VisitAll(look)
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).command())
	if flags < 50 {
		t.Errorf("only %d flags were looked at", flags)
	}
}
