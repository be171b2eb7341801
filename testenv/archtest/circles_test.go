// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestCircles holds every package to its row. What a circle is made of, go run ./testenv/archtest/circles -v says too.
func TestCircles(t *testing.T) {
	for _, p := range module(t) {
		t.Run(p.Path, func(t *testing.T) {
			row := CircleOf(p)
			t.Logf("%d of %d files need each other; limit and goal: %s", row.Size, row.Files,
				strings.ReplaceAll(row.Bounds(), "\t", ", "))
			switch {
			case row.Limit == nil:
				t.Error("there is no row in circles.go: add one")
			case !row.OK():
				t.Errorf("has grown together, want at most %d: %s", row.Limit.Limit, row.Explain())
			}
		})
	}
}

func TestCircleTable(t *testing.T) {
	var names []string
	for _, row := range Circles {
		names = append(names, row.Package)
		if row.Goal > row.Limit {
			t.Errorf("%s: the goal of %d is above the limit of %d", row.Package, row.Goal, row.Limit)
		}
	}
	judgeRows(t, "circles.go", names)
}

// planned are packages that the tables know before they are there: the rooms of wsk/datapath are being built. A name
// goes from here when its package is there, so that a row for a package that is gone is found.
var planned = []string{
	"wsk/datapath/internal/device",
	"wsk/datapath/internal/offload",
	"wsk/datapath/internal/ops",
	"wsk/datapath/internal/receive",
	"wsk/datapath/internal/send",
}

// judgeRows holds the names of a table to be in order, each once, and each that of a package.
func judgeRows(t *testing.T, table string, names []string) {
	t.Helper()
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("%s: the rows are not in order, or one is there twice", table)
	}
	for _, name := range names {
		there := slices.ContainsFunc(module(t), func(p *Package) bool { return p.Path == name })
		switch isPlanned := slices.Contains(planned, name); {
		case !there && !isPlanned:
			t.Errorf("%s has a row for %s, which is no package: take it out", table, name)
		case there && isPlanned:
			t.Logf("%s is there: take it out of planned in circles_test.go", name)
		}
	}
}

// module is the whole module, read once for all tests.
func module(t *testing.T) []*Package {
	t.Helper()
	packages, err := loadAll()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

var loadAll = sync.OnceValues(func() ([]*Package, error) { return Load() })

// source type-checks a package of files that are given as text and are called a, b and so on.
func source(t *testing.T, texts ...string) *Package {
	t.Helper()
	p := &Package{
		Path: "made/up",
		Fset: token.NewFileSet(),
		Info: &types.Info{Defs: make(map[*ast.Ident]types.Object), Uses: make(map[*ast.Ident]types.Object)},
	}
	for i, text := range texts {
		file, err := parser.ParseFile(p.Fset, string(rune('a'+i))+".go", "package up\n"+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.Files = append(p.Files, file)
	}
	var err error
	if p.Types, err = new(types.Config).Check("made/up", p.Fset, p.Files, p.Info); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGraph(t *testing.T) {
	for name, test := range map[string]struct {
		files   []string
		needs   string // "from>to names in their order"
		circles [][]string
	}{
		"none": {
			files: []string{`type T struct{ n int }`, `func f() { x := 1; _ = x }`},
		},
		"function, constant, variable": {
			files: []string{`const c = 1; var v int; func f() {}`, `func g() int { f(); v++; return c + v }`},
			needs: "b.go>a.go c f v",
		},
		"field and method": {
			files: []string{
				`type T struct{ N int }`,
				`func (t *T) M() {}`,
				`func g(t interface{ M() }) { t.M() }`,
				`var x = func() int { var t T; t.M(); return t.N }`,
			},
			needs: "b.go>a.go T; d.go>a.go T T.N; d.go>b.go T.M",
		},
		"field of what a generic type is made to": {
			files: []string{`type G[E any] struct{ e E }; func (g G[E]) m() {}`, `func f(g G[int]) int { g.m(); return g.e }`},
			needs: "b.go>a.go G G.e G.m",
		},
		"promoted field": {
			files: []string{`type T struct{ n int }`, `type U struct{ T }`, `func f(u U) int { return u.n }`},
			needs: "b.go>a.go T; c.go>a.go T.n; c.go>b.go U",
		},
		"literal with keys": {
			files: []string{`type T struct{ n int }`, `var t = T{n: 1}`},
			needs: "b.go>a.go T T.n",
		},
		"circle of three, and one that looks on": {
			files:   []string{`func a() { b() }`, `func b() { c() }`, `func c() { a() }`, `func d() { a() }`},
			needs:   "a.go>b.go b; b.go>c.go c; c.go>a.go a; d.go>a.go a",
			circles: [][]string{{"a.go", "b.go", "c.go"}},
		},
		"two circles, the larger first": {
			files: []string{
				`func a() { b() }`, `func b() { a(); c() }`,
				`func c() { d() }`, `func d() { e() }`, `func e() { c() }`,
			},
			needs:   "a.go>b.go b; b.go>a.go a; b.go>c.go c; c.go>d.go d; d.go>e.go e; e.go>c.go c",
			circles: [][]string{{"c.go", "d.go", "e.go"}, {"a.go", "b.go"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGraph(source(t, test.files...))
			var needs []string
			for _, r := range g.References() {
				var names []string
				for name := range r.Names {
					names = append(names, name)
				}
				slices.Sort(names)
				needs = append(needs, r.From+">"+r.To+" "+strings.Join(names, " "))
			}
			slices.Sort(needs)
			if got := strings.Join(needs, "; "); got != test.needs {
				t.Errorf("needs\n%s, want\n%s", got, test.needs)
			}
			if got := g.Circles(); !reflect.DeepEqual(got, test.circles) {
				t.Errorf("circles %v, want %v", got, test.circles)
			}
		})
	}
}

// TestExplain shows which reference is cheap to cut, and which file leaves how much of the circle behind.
func TestExplain(t *testing.T) {
	p := source(t, `func a() { b(); b(); b() }`, `func b() { c(); c() }`, `func c() { a() }`)
	text := CircleOf(p).Explain()
	for _, want := range []string{
		"a circle of 3 files, 3 references between them",
		"1 →  0  a.go is not needed any more by c.go",
		"1  c.go needs a.go: a\n      2  b.go needs c.go: c\n      3  a.go needs b.go: b\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if row := CircleOf(p); row.OK() {
		t.Error("a package without a row passes")
	}
}
