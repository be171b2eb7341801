// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
	"testing"
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	unseen := make(map[string]bool, len(Long))
	for name := range Long {
		unseen[name] = true
	}
	judge := func(name string, lines, limit int) {
		if lines <= limit {
			return
		}
		long, known := Long[name]
		delete(unseen, name)
		switch {
		case !known:
			t.Errorf("%s has %d lines, want at most %d: give a part of it a place and a name of its own", name, lines, limit)
		case lines > long:
			t.Errorf("%s has grown from %d to %d lines; it is to come down to %d", name, long, lines, limit)
		case lines < long:
			t.Logf("%s is down to %d lines: lower its row in limits.go from %d", name, lines, long)
		}
	}
	eachGoFile(t, func(name string, file *parsedFile) {
		if strings.HasSuffix(name, "_test.go") || ast.IsGenerated(file.tree) {
			return
		}
		judge(name, fileSet.File(file.tree.Pos()).LineCount(), FileLines)
		for _, d := range file.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				judge(name+" "+f.Name.Name, fileSet.Position(f.End()).Line-fileSet.Position(f.Pos()).Line+1, FunctionLines)
			}
		}
	})
	for name := range unseen {
		t.Errorf("%s is short now, or gone: take its row out of limits.go", name)
	}
}

func TestTypesAreSmall(t *testing.T) {
	for _, limit := range Types {
		found := 0
		for _, p := range module(t) {
			if !slices.Contains(limit.Packages, p.Path) {
				continue
			}
			for _, name := range limit.Names {
				if named := typeOf(p, name); named != nil {
					found++
					limit.judge(t, p.Path+"."+name, named)
				}
			}
		}
		if found == 0 {
			t.Errorf("none of %v is in %v: say in limits.go what has become of it", limit.Names, limit.Packages)
		}
	}
}

func typeOf(p *Package, name string) *types.Named {
	if t, ok := p.Types.Scope().Lookup(name).(*types.TypeName); ok {
		named, _ := types.Unalias(t.Type()).(*types.Named)
		return named
	}
	return nil
}

func (l TypeLimit) judge(t *testing.T, name string, named *types.Named) {
	if s, ok := named.Underlying().(*types.Struct); ok {
		l.Fields.judge(t, name, "fields", s.NumFields())
	}
	l.Methods.judge(t, name, "methods", named.NumMethods())
}

func (b Bound) judge(t *testing.T, name, what string, n int) {
	switch {
	case b == Bound{}:
	case n > b.Limit:
		t.Errorf("%s has %d %s, want at most %d and in the end %d", name, n, what, b.Limit, b.Goal)
	case n < b.Limit && b.Limit > b.Goal:
		t.Logf("%s has %d %s: lower its limit in limits.go from %d (the goal is %d)", name, n, what, b.Limit, b.Goal)
	}
}
