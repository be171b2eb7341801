// SPDX-License-Identifier: Apache-2.0

package output

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file that can't be written whole stays what it was; permissions and links stay too.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a.json"), filepath.Join(dir, "link.json")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.json", link); err != nil {
		t.Fatal(err)
	}
	holds := func(want string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil || string(text) != want {
			t.Errorf("%q, %v: want %q", text, err, want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
			t.Errorf("beside it: %v, %v", left, err)
		}
	}
	if err := Save(path, func() {}); err == nil { // no JSON
		t.Error("a function was written")
	}
	holds("before")
	if err := Save(link, second{7, 0}); err != nil {
		t.Error(err)
	}
	holds("{\n  \"start_ns\": 7\n}\n")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become a file: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it now: %v, %v", info.Mode(), err)
	}
	if err := Save(os.DevNull, second{7, 0}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatal("a device has become a file")
	}
}

// A link whose file is not there yet stays one, and that file is written.
func TestSaveThroughALink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink("later.json", link); err != nil {
		t.Fatal(err)
	}
	if err := Save(link, second{7, 0}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become a file: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "later.json")); err != nil || string(text) != "{\n  \"start_ns\": 7\n}\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// A link by which nothing can be written gives way to the report.
func TestSaveInPlaceOfALink(t *testing.T) {
	for _, to := range []string{"gone/later.json", "link.json"} {
		link := filepath.Join(t.TempDir(), "link.json")
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
		if err := Save(link, second{7, 0}); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(link); err != nil || string(text) != "{\n  \"start_ns\": 7\n}\n" {
			t.Errorf("to %s: %q, %v", to, text, err)
		}
	}
}

// Where a directory takes no other name (this one would be too long), the file itself is written. What it held does not stick out behind.
func TestSaveInPlace(t *testing.T) {
	const want = "{\n  \"start_ns\": 7\n}\n"
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("a", 255))
	for _, before := range []string{"", strings.Repeat("longer", 20)} {
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := Save(path, second{7, 0}); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != want {
			t.Errorf("%q, %v", text, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}
