// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in the file, both from 1.
type position struct{ line, column int }

// positions are the places of all values of a file, by paths like allow[0].destination[1], and of its tables.
type positions struct {
	at     map[string]position
	counts map[string]int // tables so far in each array of tables
	// misspelt are keys with capitals, which package toml takes for those without.
	misspelt map[string]position
}

// locate walks a file that package toml has found to be one.
func locate(text []byte) *positions {
	ps := &positions{make(map[string]position), make(map[string]int), make(map[string]position)}
	var p unstable.Parser
	p.Reset(text)
	var table []string
	for p.NextExpression() {
		node := p.Expression()
		switch node.Kind {
		case unstable.Table:
			table = ps.key(&p, nil, node.Key())
		case unstable.ArrayTable:
			table = ps.key(&p, nil, node.Key())
			name := strings.Join(table, ".")
			n := ps.counts[name]
			ps.counts[name]++
			table = []string{fmt.Sprintf("%s[%d]", name, n)}
			ps.at[table[0]] = ps.at[name]
		case unstable.KeyValue:
			ps.keyValue(&p, table, node)
		}
	}
	return ps
}

// key appends a key, which may be dotted, to a path and notes where it is.
func (ps *positions) key(p *unstable.Parser, path []string, keys unstable.Iterator) []string {
	path = path[:len(path):len(path)]
	for keys.Next() {
		node := keys.Node()
		path = append(path, string(node.Data))
		at := start(p, node)
		ps.at[strings.Join(path, ".")] = at
		isName := len(path) == 2 && path[0] == "interface"
		if last := path[len(path)-1]; !isName && strings.ToLower(last) != last {
			ps.misspelt[strings.Join(path, ".")] = at
		}
	}
	return path
}

func (ps *positions) keyValue(p *unstable.Parser, table []string, node *unstable.Node) {
	ps.value(p, ps.key(p, table, node.Key()), node.Value())
}

func (ps *positions) value(p *unstable.Parser, path []string, node *unstable.Node) {
	name := strings.Join(path, ".")
	children := node.Children()
	switch node.Kind {
	case unstable.Array:
		for i := 0; children.Next(); i++ {
			ps.value(p, []string{fmt.Sprintf("%s[%d]", name, i)}, children.Node())
		}
	case unstable.InlineTable:
		ps.at[name] = start(p, node)
		for children.Next() {
			ps.keyValue(p, path, children.Node())
		}
	default:
		ps.at[name] = start(p, node)
	}
}

func start(p *unstable.Parser, node *unstable.Node) position {
	at := p.Shape(node.Raw).Start
	return position{at.Line, at.Column}
}

// of is the place of a value; where the file does not have it, that of the table that it would be in.
func (ps *positions) of(path string) position {
	for {
		if at, ok := ps.at[path]; ok {
			return at
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return position{1, 1}
		}
		path = path[:i]
	}
}
