// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// foreign are file names in comments that are those of other projects.
var foreign = []string{
	"src/runtime/netpoll_epoll.go", // Go's
}

// walks are the sections of ARCHITECTURE.md that lead a newcomer through the code by file names, and how many files
// each may name: a way that needs more is not a way that anybody goes.
var walks = []string{"From SendTo to the completion routine", "From a frame to ReceiveFrom"}

const walkFiles = 12

// A tree is the set of all files and directories of the repository, by their paths within it.
type tree map[string]bool

// names are the ways in which a document names a file or directory of ours: a Go file by any path, where a star stands
// for several; anything in backquotes that begins with a directory at the top; and what a link goes to.
var (
	goFile   = regexp.MustCompile(`[A-Za-z0-9_*][A-Za-z0-9_./*-]*\.go\b`)
	quoted   = regexp.MustCompile("`(?:\\./)?([a-z.][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.*-]+)+)/?`")
	linked   = regexp.MustCompile(`\]\(([^)#: ]+)(?:#[^)]*)?\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*?) *$`)
	document = regexp.MustCompile(`[A-Za-z0-9_./-]*[A-Za-z0-9_-]\.md\b`)
	goModule = regexp.MustCompile(`\b[a-z0-9-]+\.(?:com|org|dev|in|io|net)/[A-Za-z0-9_./-]*`)
)

// TestCommentsNameFilesThatExist holds the comments of all Go files: a bare name is that of a file beside them.
func TestCommentsNameFilesThatExist(t *testing.T) {
	tree := repository(t)
	eachGoFile(t, func(name string, file *parsedFile) {
		if name == "testenv/archtest/documents_test.go" {
			return // it makes names up
		}
		for _, c := range file.tree.Comments {
			for _, missing := range tree.missingInComment(name, c.Text()) {
				t.Errorf("%s: a comment names %s", name, missing)
			}
		}
	})
}

// TestCommentsNameDocumentsThatExist holds the comments of all Go files: a document is named by its path, or stands beside them.
func TestCommentsNameDocumentsThatExist(t *testing.T) {
	tree := repository(t)
	eachGoFile(t, func(name string, file *parsedFile) {
		if name == "testenv/archtest/documents_test.go" {
			return // it makes names up
		}
		for _, c := range file.tree.Comments {
			for _, missing := range tree.unknownDocuments(name, c.Text()) {
				t.Errorf("%s: a comment names %s", name, missing)
			}
		}
	})
}

func (tr tree) unknownDocuments(file, comment string) (missing []string) {
	for _, name := range document.FindAllString(comment, -1) {
		if !tr.has(path.Join(path.Dir(file), name)) && !tr.has(name) {
			missing = append(missing, tr.hint(name))
		}
	}
	return missing
}

func (tr tree) missingInComment(file, comment string) []string {
	if !strings.Contains(comment, ".go") {
		return nil
	}
	var missing []string
	for _, name := range goFile.FindAllString(goModule.ReplaceAllString(comment, ""), -1) {
		if !slices.Contains(foreign, name) && !tr.has(path.Join(path.Dir(file), name)) && !tr.has(name) {
			missing = append(missing, tr.hint(name))
		}
	}
	return missing
}

// TestDocumentsNameFilesThatExist holds the documents: a bare name is that of a file in the directory named last, or
// the only one of that name.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	tree := repository(t)
	for name := range tree {
		// What a changelog tells of the past need not be there any more.
		if path.Ext(name) != ".md" || name == "CHANGELOG.md" {
			continue
		}
		text := readDocument(t, name)
		for _, missing := range tree.missingInDocument(name, text) {
			t.Errorf("%s names %s", name, missing)
		}
	}
}

func (tr tree) missingInDocument(document, text string) []string {
	var missing []string
	for _, m := range linked.FindAllStringSubmatch(text, -1) {
		if name := path.Join(path.Dir(document), m[1]); !tr.has(name) {
			missing = append(missing, tr.hint(m[1]))
		}
	}
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		top, _, _ := strings.Cut(m[1], "/")
		if tr[top] && path.Ext(m[1]) != ".go" && !tr.has(m[1]) && !tr.isName(m[1]) {
			missing = append(missing, tr.hint(m[1]))
		}
	}
	_, unknown := tr.filesOf(document, text)
	return append(missing, unknown...)
}

// filesOf are the paths of the Go files that a document names, in the order in which it does, and the names that are
// those of no file or of several.
func (tr tree) filesOf(document, text string) (files, missing []string) {
	last := path.Dir(document)
	for _, name := range goFile.FindAllString(goModule.ReplaceAllString(text, ""), -1) {
		found := name
		switch {
		case tr.has(path.Join(last, name)):
			found = path.Join(last, name)
		case tr.has(name):
		case !strings.Contains(name, "/") && len(tr.called(name)) == 1:
			found = tr.called(name)[0]
		case slices.Contains(foreign, name):
			continue
		default:
			missing = append(missing, tr.hint(name))
			continue
		}
		last = path.Dir(found)
		files = append(files, found)
	}
	return files, missing
}

// TestWalksAreShort holds the two walks of ARCHITECTURE.md to files that exist, and to a dozen each.
func TestWalksAreShort(t *testing.T) {
	text := readDocument(t, "ARCHITECTURE.md")
	tree := repository(t)
	for _, title := range walks {
		section, ok := sectionOf(text, title)
		if !ok {
			t.Logf("ARCHITECTURE.md has no section %q", title)
			continue
		}
		files, missing := tree.filesOf("ARCHITECTURE.md", section)
		files = slices.Compact(slices.Sorted(slices.Values(files)))
		if len(files) == 0 || len(files) > walkFiles || len(missing) > 0 {
			t.Errorf("%s: names %d files %v, want 1 to %d; missing: %v", title, len(files), files, walkFiles, missing)
		}
	}
}

// sectionOf is what stands under a heading, as far as the next heading of any level.
func sectionOf(text, title string) (string, bool) {
	at := heading.FindAllStringSubmatchIndex(text, -1)
	for i, h := range at {
		if !strings.EqualFold(strings.Trim(text[h[2]:h[3]], "`"), title) {
			continue
		}
		if i+1 < len(at) {
			return text[h[1]:at[i+1][0]], true
		}
		return text[h[1]:], true
	}
	return "", false
}

// has says whether a path is there; stars stand for any part of a name.
func (tr tree) has(name string) bool {
	if !strings.Contains(name, "*") {
		return tr[name]
	}
	for f := range tr {
		if ok, _ := path.Match(name, f); ok {
			return true
		}
	}
	return false
}

// isName says that the last part of a path is a name in a package: wsk/datapath.Info.
func (tr tree) isName(name string) bool {
	pkg, _, ok := strings.Cut(name, ".")
	return ok && tr[pkg]
}

// called are the files with that bare name, in order.
func (tr tree) called(name string) []string {
	var found []string
	for f := range tr {
		if path.Base(f) == name {
			found = append(found, f)
		}
	}
	slices.Sort(found)
	return found
}

func (tr tree) hint(name string) string {
	if found := tr.called(path.Base(name)); len(found) > 0 && len(found) < 5 {
		return fmt.Sprintf("%s, which is not there: is it %s?", name, strings.Join(found, " or "))
	}
	return name + ", which is not there"
}

// repository is the tree of what lies under the root.
func repository(t *testing.T) tree {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	tr := make(tree)
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && name == ".git" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		tr[name] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMissingNames(t *testing.T) {
	tr := make(tree)
	for _, name := range []string{"a", "a/one.go", "a/b", "a/b/two.go", "c", "c/two.go", "c/three.go", "docs", "docs/x.md"} {
		tr[name] = true
	}
	for text, want := range map[string][]string{
		"a/one.go, then b/two.go":             nil,
		"a/one.go, then three.go":             nil, // the only one
		"three.go, then two.go beside it":     nil,
		"two.go":                              {"two.go"}, // which of the two?
		"a/gone.go":                           {"a/gone.go"},
		"a/*.go and `a/*`":                    nil,
		"c/four_*.go":                         {"c/four_*.go"},
		"`a/b` and `a/b.Thing` and `d/other`": nil,
		"`a/gone`":                            {"a/gone"},
		"[x](docs/x.md#part) [y](https://go.dev/y.go)": nil,
		"[x](docs/y.md)": {"docs/y.md"},
		"github.com/someone/project/file.go is of them": nil,
	} {
		var got []string
		for _, m := range tr.missingInDocument("ARCHITECTURE.md", text) {
			name, _, _ := strings.Cut(m, ", ")
			got = append(got, name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: missing %v, want %v", text, got, want)
		}
	}
	if got := tr.missingInComment("a/doc.go", "one.go b/two.go c/two.go"); got != nil {
		t.Errorf("missing in a comment: %v", got)
	}
	if got := tr.missingInComment("a/doc.go", "three.go"); len(got) != 1 || !strings.Contains(got[0], "c/three.go") {
		t.Errorf("a bare name of another package in a comment: %v, want a hint at c/three.go", got)
	}
	if got := tr.unknownDocuments("a/one.go", "docs/x.md, x.md and docs/gone.md"); len(got) != 2 || !strings.Contains(got[0], "docs/x.md") {
		t.Errorf("documents in a comment: %v, want x.md with a hint at docs/x.md, and docs/gone.md", got)
	}
	text := "# T\n## A `b`\none\n### From a frame to ReceiveFrom\ntwo\n## C\n"
	if s, ok := sectionOf(text, walks[1]); !ok || strings.TrimSpace(s) != "two" {
		t.Errorf("section %q, %t", s, ok)
	}
}
