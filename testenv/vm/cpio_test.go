// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readArchive is an independent reader of the format, as slow and plain as can be.
func readArchive(t *testing.T, raw []byte) (entries []string) {
	t.Helper()
	for at := 0; ; {
		if len(raw) < at+110 || string(raw[at:at+6]) != "070701" {
			t.Fatalf("no header at %d of %d", at, len(raw))
		}
		field := func(i int) int {
			v, err := strconv.ParseUint(string(raw[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(v)
		}
		mode, size, nameSize := field(1), field(6), field(11)
		name := string(raw[at+110 : at+110+nameSize-1])
		data := (at + 110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			return entries
		}
		entries = append(entries, fmt.Sprintf("%o %s %q", mode, name, raw[data:data+size]))
		at = (data + size + 3) &^ 3
	}
}

func TestArchive(t *testing.T) {
	var b bytes.Buffer
	a := NewArchive(&b)
	a.Dir("tmp")
	a.File("/a/b/c", 0o755, []byte("12345"))
	a.File("a/b/d", 0o644, nil)
	a.Dir("a/b")
	a.Symlink("l", "/a/b/c")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`40755 tmp ""`, `40755 a ""`, `40755 a/b ""`, `100755 a/b/c "12345"`, `100644 a/b/d ""`, `120777 l "/a/b/c"`,
	}
	if d := cmp.Diff(want, readArchive(t, b.Bytes())); d != "" {
		t.Error(d)
	}
}

type fullDisk struct{ room int }

var errFull = errors.New("full")

func (f *fullDisk) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return f.room, errFull
	}
	f.room -= len(p)
	return len(p), nil
}

func TestArchiveTellsOfTheFirstError(t *testing.T) {
	a := NewArchive(&fullDisk{1 << 20})
	for i := range 4 {
		a.File(fmt.Sprint(i), 0o644, make([]byte, 1<<20))
	}
	if err := a.Close(); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}
