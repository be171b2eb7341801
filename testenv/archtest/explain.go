// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A CircleRow is the largest circle of one package beside its limit.
type CircleRow struct {
	Package    string
	Files      int
	References int // from one file to another
	Size       int // files in the largest circle
	Limit      *CircleLimit

	graph *Graph
}

// CircleOf counts the largest circle of p.
func CircleOf(p *Package) CircleRow {
	g := NewGraph(p)
	row := CircleRow{
		Package:    p.Path,
		Files:      len(g.Files),
		References: len(g.References()),
		Size:       len(g.Largest()),
		graph:      g,
	}
	for i := range Circles {
		if Circles[i].Package == p.Path {
			row.Limit = &Circles[i]
		}
	}
	return row
}

// OK says that the package has a limit and keeps it.
func (r CircleRow) OK() bool { return r.Limit != nil && r.Size <= r.Limit.Limit }

// Bounds are limit and goal as two columns of a table.
func (r CircleRow) Bounds() string {
	if r.Limit == nil {
		return "none\tadd a row to circles.go"
	}
	s := fmt.Sprintf("%d\t%d", r.Limit.Limit, r.Limit.Goal)
	switch {
	case r.Size > r.Limit.Limit:
		s += "  above the limit"
	case r.Size < r.Limit.Limit && r.Limit.Limit > r.Limit.Goal:
		s += fmt.Sprintf("  lower the limit to %d", max(r.Size, r.Limit.Goal))
	}
	return s
}

// Explain prints every circle of the package: its files, which of them leave it with the least work, and the references
// that make it up, the cheapest first.
func (r CircleRow) Explain() string {
	var s strings.Builder
	for _, circle := range r.graph.Circles() {
		inside := r.graph.References(circle...)
		fmt.Fprintf(&s, "\n%s: a circle of %d files, %d references between them\n", r.Package, len(circle), len(inside))
		for line := range slices.Chunk(circle, 6) {
			fmt.Fprintf(&s, "    %s\n", strings.Join(line, " "))
		}
		s.WriteString("  what leaves it with the least work (places to change, and the largest circle then left of it):\n")
		for _, way := range r.graph.waysOut(circle, inside) {
			fmt.Fprintf(&s, "    %s\n", way)
		}
		s.WriteString("  the references that make it up, the fewest places first:\n")
		for _, ref := range inside {
			fmt.Fprintf(&s, "    %3d  %s needs %s: %s\n", ref.Count(), ref.From, ref.To, ref.names(6))
		}
	}
	return s.String()
}

// names are the first few names of a reference, the most used first.
func (r *Reference) names(most int) string {
	names := slices.SortedFunc(maps.Keys(r.Names), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Names[b], r.Names[a]), cmp.Compare(a, b))
	})
	rest := ""
	if len(names) > most {
		rest = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	return strings.Join(names, ", ") + rest
}

// A wayOut takes one file out of a circle: either it needs no file of the circle any more, or none needs it.
type wayOut struct {
	file   string
	places int
	needs  bool // the references cut are those of file to the others; else those of the others to file
	others []string
	left   int // files in the largest circle that is left
}

func (w wayOut) String() string {
	s := fmt.Sprintf("%3d → %2d  %s", w.places, w.left, w.file)
	if w.needs {
		return s + " without " + strings.Join(w.others, ", ")
	}
	return fmt.Sprintf("%s is not needed any more by %s", s, strings.Join(w.others, ", "))
}

// waysOut are the cheaper way out of circle for each of its files, the cheapest first, at most a dozen.
func (g *Graph) waysOut(circle []string, inside []*Reference) []wayOut {
	var ways []wayOut
	for _, file := range circle {
		out, in := wayOut{file: file, needs: true}, wayOut{file: file}
		for _, r := range inside {
			switch file {
			case r.From:
				out.places, out.others = out.places+r.Count(), append(out.others, r.To)
			case r.To:
				in.places, in.others = in.places+r.Count(), append(in.others, r.From)
			}
		}
		way := out
		if in.places < out.places {
			way = in
		}
		way.left = len(g.without(file, circle).Largest())
		ways = append(ways, way)
	}
	slices.SortStableFunc(ways, func(a, b wayOut) int { return cmp.Compare(a.places, b.places) })
	return ways[:min(len(ways), 12)]
}

// without is the graph of a circle that one file has left.
func (g *Graph) without(file string, circle []string) *Graph {
	rest := &Graph{needs: make(map[string]map[string]*Reference)}
	for _, from := range circle {
		if from == file {
			continue
		}
		rest.Files = append(rest.Files, from)
		rest.needs[from] = make(map[string]*Reference)
		for to, r := range g.needs[from] {
			if to != file && slices.Contains(circle, to) {
				rest.needs[from][to] = r
			}
		}
	}
	return rest
}
