// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"sync"
)

// A parsedFile is a Go file as text and as a tree, read once: with the race detector the parser is slow, and the types,
// the comments and the limits are all found in the same tree.
type parsedFile struct {
	once sync.Once
	text []byte
	tree *ast.File
	err  error
}

var (
	fileSet     = token.NewFileSet()
	parsedFiles sync.Map // *parsedFile by its full path
)

// parse reads the file with that full path, unless it has been read before.
func parse(path string) (*parsedFile, error) {
	known, _ := parsedFiles.LoadOrStore(path, new(parsedFile))
	f := known.(*parsedFile)
	f.once.Do(func() {
		if f.text, f.err = os.ReadFile(path); f.err == nil {
			f.tree, f.err = parser.ParseFile(fileSet, path, f.text, parser.ParseComments|parser.SkipObjectResolution)
		}
	})
	return f, f.err
}
