// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"slices"
	"strings"
)

// MayImport says whether the row lets the package import path, a full one.
func (r ImportRow) MayImport(path string) bool { return isFree(path) || covers(r.May, path) }

// TestsMayImport says the same of the package's tests. They may import the package, what it may, what all tests may,
// and, in a command, what lies in the same internal directory.
func (r ImportRow) TestsMayImport(path string) bool {
	sibling := strings.HasPrefix(r.Package, "cmd/wsk-xdp") && strings.HasPrefix(Short(path), "cmd/wsk-xdp/internal/")
	return r.MayImport(path) || Short(path) == r.Package || sibling || covers(anyTest, path) || covers(r.Tests, path)
}

// isFree says that a path is of the standard library: their first element has no dot.
func isFree(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// covers says whether path is allowed by name, or by its module. Packages of ours are allowed by their own name only.
func covers(allowed []string, path string) bool {
	short := Short(path)
	return slices.ContainsFunc(allowed, func(name string) bool {
		return name == short || short == path && strings.HasPrefix(path, name+"/")
	})
}
