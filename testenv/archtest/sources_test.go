// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnsafeIsFencedIn(t *testing.T) {
	eachGoFile(t, func(name string, file *parsedFile) {
		for _, imp := range file.tree.Imports {
			if imp.Path.Value == `"unsafe"` && !strings.Contains(path.Base(name), "_unsafe") {
				t.Errorf("%s imports unsafe: move it to a file named *_unsafe.go", name)
			}
		}
	})
}

func TestFilesBeginWithLicence(t *testing.T) {
	eachGoFile(t, func(name string, file *parsedFile) {
		if !bytes.HasPrefix(file.text, []byte("// SPDX-License-Identifier: ")) &&
			!bytes.HasPrefix(file.text, []byte("// Code generated ")) {
			t.Errorf("%s does not begin with its licence", name)
		}
	})
}

// TestEveryPackageHasOneComment holds doc comments to one place per package.
func TestEveryPackageHasOneComment(t *testing.T) {
	comments := make(map[string][]string)
	eachGoFile(t, func(name string, file *parsedFile) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		dir := path.Dir(name)
		comments[dir] = append(comments[dir], nil...)
		if file.tree.Doc != nil {
			comments[dir] = append(comments[dir], path.Base(name))
		}
	})
	for dir, files := range comments {
		if len(files) != 1 {
			t.Errorf("%s: package comment in %v, want exactly one file", dir, files)
		}
	}
}

// eachGoFile calls do for all Go files of the repository, with their names within it.
func eachGoFile(t *testing.T, do func(name string, file *parsedFile)) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != ".":
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".go"):
			file, err := parse(filepath.Join(root, filepath.FromSlash(name)))
			if err != nil {
				return err
			}
			do(name, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
