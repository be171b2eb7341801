// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"cmp"
	"go/ast"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
)

// A Reference says that one file of a package needs another one of it.
type Reference struct {
	From, To string
	Names    map[string]int // what From uses of To, and how many times: "queue.kick" is a method or field
}

// Count is the number of places that would have to change for From to do without To.
func (r *Reference) Count() int {
	n := 0
	for _, uses := range r.Names {
		n += uses
	}
	return n
}

// A Graph has the files of a package and who needs whom.
type Graph struct {
	Files []string
	needs map[string]map[string]*Reference // by From, by To
}

// NewGraph finds the references between the files of p. A file refers to another one when it uses a package-level
// object, a method or a field that is declared there.
func NewGraph(p *Package) *Graph {
	g := &Graph{needs: make(map[string]map[string]*Reference)}
	owners := ownersOf(p)
	for _, file := range p.Files {
		from := filepath.Base(p.Fset.Position(file.Pos()).Filename)
		g.Files = append(g.Files, from)
		for id := range idents(file) {
			used := p.Info.Uses[id]
			if used == nil || used.Pkg() != p.Types {
				continue
			}
			if to := filepath.Base(p.Fset.Position(used.Pos()).Filename); to != from {
				g.add(from, to, owners.name(used))
			}
		}
	}
	slices.Sort(g.Files)
	return g
}

func idents(file *ast.File) func(yield func(*ast.Ident) bool) {
	return func(yield func(*ast.Ident) bool) {
		for n := range ast.Preorder(file) {
			if id, ok := n.(*ast.Ident); ok && !yield(id) {
				return
			}
		}
	}
}

func (g *Graph) add(from, to, name string) {
	if g.needs[from] == nil {
		g.needs[from] = make(map[string]*Reference)
	}
	r := g.needs[from][to]
	if r == nil {
		r = &Reference{From: from, To: to, Names: make(map[string]int)}
		g.needs[from][to] = r
	}
	r.Names[name]++
}

// References are those between the files given, the fewest places first; without files, all.
func (g *Graph) References(files ...string) []*Reference {
	var found []*Reference
	for from, to := range g.needs {
		for to, r := range to {
			if len(files) == 0 || slices.Contains(files, from) && slices.Contains(files, to) {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b *Reference) int {
		return cmp.Or(cmp.Compare(a.Count(), b.Count()), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return found
}

// Circles are the sets of files that all need each other, by however many steps, the largest first; a file that is in
// no circle is not among them. They are the strongly connected components of the graph, found by Tarjan's algorithm.
func (g *Graph) Circles() [][]string {
	s := search{graph: g, index: make(map[string]int), low: make(map[string]int), open: make(map[string]bool)}
	for _, file := range g.Files {
		if s.index[file] == 0 {
			s.visit(file)
		}
	}
	slices.SortStableFunc(s.circles, func(a, b []string) int { return cmp.Compare(len(b), len(a)) })
	return s.circles
}

// Largest is the largest of [Graph.Circles], nil without any.
func (g *Graph) Largest() []string {
	if circles := g.Circles(); len(circles) > 0 {
		return circles[0]
	}
	return nil
}

// search is the state of Tarjan's algorithm: the order in which files were met, counted from 1, the earliest file that
// each can get back to, and the files whose component is not complete yet.
type search struct {
	graph   *Graph
	index   map[string]int
	low     map[string]int
	open    map[string]bool
	stack   []string
	circles [][]string
}

func (s *search) visit(file string) {
	s.index[file] = len(s.index) + 1
	s.low[file] = s.index[file]
	s.stack, s.open[file] = append(s.stack, file), true
	for _, to := range slices.Sorted(maps.Keys(s.graph.needs[file])) {
		switch {
		case s.index[to] == 0:
			s.visit(to)
			s.low[file] = min(s.low[file], s.low[to])
		case s.open[to]:
			s.low[file] = min(s.low[file], s.index[to])
		}
	}
	if s.low[file] != s.index[file] {
		return
	}
	at := slices.Index(s.stack, file)
	circle := slices.Sorted(slices.Values(s.stack[at:]))
	s.stack = s.stack[:at]
	for _, f := range circle {
		delete(s.open, f)
	}
	if len(circle) > 1 {
		s.circles = append(s.circles, circle)
	}
}

// owners names the type that a field or an interface's method belongs to.
type owners map[types.Object]string

func ownersOf(p *Package) owners {
	o := make(owners)
	for _, name := range p.Types.Scope().Names() {
		t, ok := p.Types.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			continue
		}
		switch u := t.Type().Underlying().(type) {
		case *types.Struct:
			for f := range u.Fields() {
				o.note(f, name)
			}
		case *types.Interface:
			for m := range u.ExplicitMethods() {
				o.note(m, name)
			}
		}
		if named, ok := t.Type().(*types.Named); ok {
			for m := range named.Methods() {
				o.note(m, name)
			}
		}
	}
	return o
}

// note keeps the first owner: a type defined as another one has the same fields, and comes second or not at all.
func (o owners) note(what types.Object, owner string) {
	if _, known := o[what]; !known {
		o[what] = owner
	}
}

func (o owners) name(used types.Object) string {
	switch u := used.(type) {
	case *types.Var:
		used = u.Origin()
	case *types.Func:
		used = u.Origin()
	}
	if owner, ok := o[used]; ok {
		return owner + "." + used.Name()
	}
	return used.Name()
}
