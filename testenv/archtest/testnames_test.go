// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"go/ast"
	"path"
	"regexp"
	"strings"
	"testing"
)

// claims are documents of which every table with a column "test" names a test in each row.
var claims = []string{"docs/host.md"}

// testName is a test that a document names in backquotes, perhaps with the end of its package's path in front and a subtest behind.
var testName = regexp.MustCompile("`(?:([A-Za-z0-9_/-]+)\\.)?((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9_]*)(?:/([^`]+))?`")

// tests are the test functions of the module: for each name the text of the files that have it, by package.
type tests map[string]map[string]string

// TestDocumentsNameTestsThatExist holds what documents say of tests: there is one of that name, in the package that is named, and its
// files mention the subtest.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	all := testsOf(t)
	for name := range repository(t) {
		if path.Ext(name) != ".md" || name == "CHANGELOG.md" {
			continue
		}
		for _, missing := range all.missing(readDocument(t, name)) {
			t.Errorf("%s names the test %s, which is not there", name, missing)
		}
	}
}

// TestClaimsNameTests holds documents in which each claim is to have a test.
func TestClaimsNameTests(t *testing.T) {
	for _, name := range claims {
		rows, bare := claimsIn(readDocument(t, name))
		if rows == 0 {
			t.Errorf("%s has no table of claims", name)
		}
		for _, row := range bare {
			t.Errorf("%s: no test stands behind %q", name, row)
		}
	}
}

func testsOf(t *testing.T) tests {
	t.Helper()
	all := tests{}
	eachGoFile(t, func(name string, file *parsedFile) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, d := range file.tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				all.add(f.Name.Name, path.Dir(name), string(file.text))
			}
		}
	})
	return all
}

func (all tests) add(name, pkg, text string) {
	if all[name] == nil {
		all[name] = map[string]string{}
	}
	all[name][pkg] += text
}

func (all tests) missing(document string) (names []string) {
	for _, m := range testName.FindAllStringSubmatch(document, -1) {
		if !all.have(m[1], m[2], m[3]) {
			names = append(names, strings.Trim(m[0], "`"))
		}
	}
	return names
}

// have reports whether there is a test in a package whose path ends so, with a subtest that its files mention.
func (all tests) have(pkg, name, sub string) bool {
	for in, text := range all[name] {
		if pkg == "" || in == pkg || strings.HasSuffix(in, "/"+pkg) {
			if sub == "" || strings.Contains(text, sub) {
				return true
			}
		}
	}
	return false
}

// claimsIn counts the rows of the tables whose last column is "test", and lists those that name none there.
func claimsIn(document string) (rows int, bare []string) {
	inTable := false
	for line := range strings.Lines(document) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case last == "test":
			inTable = true
		case !inTable || strings.Trim(last, "-") == "":
		default:
			rows++
			if !testName.MatchString(last) && !strings.Contains(last, "`make ") {
				bare = append(bare, strings.TrimSpace(cells[0]))
			}
		}
	}
	return rows, bare
}

func TestClaims(t *testing.T) {
	all := tests{}
	all.add("TestOne", "a/b", `t.Run("small", …)`)
	for text, want := range map[string]int{
		"`TestOne`, `b.TestOne` and `a/b.TestOne`": 0, "`TestTwo`": 1, "`c.TestOne`": 1, "`TestOne/small`": 0, "`TestOne/large`": 1,
		"`TestOne…`": 0, "TestTwo": 0,
	} {
		if got := all.missing(text); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	rows, bare := claimsIn("| a | test |\n|---|---|\n| x | `TestOne` |\n| y | none |\n\n| z | else |\n| z | none |\n")
	if rows != 2 || len(bare) != 1 || bare[0] != "y" {
		t.Errorf("%d rows, %v", rows, bare)
	}
}
