// SPDX-License-Identifier: Apache-2.0

package archtest

// What every Go file of the module keeps that is neither a test nor generated, but for the exceptions below.
const (
	FileLines     = 320
	FunctionLines = 70
)

// Long are the files, and the functions by file and name, that are longer, with today's lines. A row whose file or
// function has become short, or has gone, fails: take it out. Nothing is to be added.
var Long = map[string]int{
	"testenv/lab.go connect": 76,
}

// A TypeLimit bounds the fields of a struct, and the methods of a type with those that take a pointer.
type TypeLimit struct {
	Packages []string // where the type may be; it must be in one of them
	Names    []string // what it may be called
	Fields   Bound    // the zero Bound is none
	Methods  Bound
}

// A Bound is the limit of today and what it shall come down to.
type Bound struct{ Limit, Goal int }

// Types are those that once took in everything, so that each part of the package held all the others.
var Types = []TypeLimit{
	{
		Packages: []string{"wsk/datapath"},
		Names:    []string{"Datapath"},
		Fields:   Bound{12, 12},
	},
	{
		Packages: []string{"wsk/datapath", "wsk/datapath/internal/send"},
		Names:    []string{"queue", "Queue"},
		Methods:  Bound{45, 45},
	},
}
