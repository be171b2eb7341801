// SPDX-License-Identifier: Apache-2.0

// Package archtest holds the rules of the house that a machine can check, and the figures they allow.
//
//   - circles.go: how many files of one package may need each other. [Circles] is the table; to see what makes a
//     circle up, and where it is cut with the least work: go run ./testenv/archtest/circles -v wsk/datapath
//   - limits.go: lines of a file and of a function, fields and methods of a type.
//   - imports.go: what each package may import, and who may use which module.
//   - exported.go: the names of the public packages, of which none goes without a word in CHANGELOG.md.
//
// The tests beside them hold the code against the tables, and check what needs no table: where unsafe may stand, how
// a file begins, that documents and comments name files that exist.
//
// A table has the limit of today and the goal beside it. Whoever makes something smaller lowers its limit in the same
// commit; the tests say where that is possible.
package archtest
