// SPDX-License-Identifier: Apache-2.0

package peer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// tree makes directories that stand for control groups, and returns where.
func tree(t *testing.T, paths ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range paths {
		if err := os.MkdirAll(filepath.Join(root, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func number(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// TestUnitsOf: what systemd of the host has named counts, wherever its slices are, and nothing that is named below.
func TestUnitsOf(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root makes groups that are trusted")
	}
	tests := []struct {
		path string
		want []string
	}{
		{"", nil},
		{"init.scope", []string{"init.scope"}},
		{"system.slice/a.service", []string{"system.slice", "a.service"}},
		{"system.slice/a.service/worker", []string{"system.slice", "a.service"}},
		{"system.slice/system-foo.slice/foo@1.service", []string{"system.slice", "system-foo.slice", "foo@1.service"}},
		{"own.slice/own-part.slice/b.service", []string{"own.slice", "own-part.slice", "b.service"}},
		{"system.slice/_io.service", []string{"system.slice", "io.service"}},
		{"user.slice/user-7.slice/session-3.scope", []string{"user.slice", "user-7.slice", "session-3.scope"}},
		{
			"user.slice/user-7.slice/user@7.service/app.slice/a.service",
			[]string{"user.slice", "user-7.slice", "user@7.service"},
		},
		{"machine.slice/box.scope/system.slice/a.service", []string{"machine.slice", "box.scope"}},
		{"box/system.slice/a.service", nil},
		{"given.slice/away.slice/a.service", []string{"given.slice", "away.slice"}},
		{"shared.slice/a.service", []string{"shared.slice"}},
	}
	var paths []string
	for _, tt := range tests {
		paths = append(paths, tt.path)
	}
	root := tree(t, paths...)
	if err := os.Chown(filepath.Join(root, "given.slice/away.slice"), 7, 7); err != nil {
		t.Skip("no other user here: ", err)
	}
	if err := os.Chmod(filepath.Join(root, "shared.slice"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		got, err := new(looks).unitsOf(root, number(t, filepath.Join(root, tt.path)))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v, want %q", tt.path, got, err, tt.want)
		}
	}
}

// TestUnitsOfNoGroup: what is not found is in doubt, and not in no unit.
func TestUnitsOfNoGroup(t *testing.T) {
	root := tree(t, "system.slice/a.service")
	gone := filepath.Join(root, "system.slice/a.service")
	id := number(t, gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if units, err := new(looks).unitsOf(root, id); !errors.Is(err, errNoGroup) {
		t.Errorf("%q, %v", units, err)
	}
}

// TestOneLookForAll: who is in a group that was found before, or waits while a look is made that began after it came, has
// none made.
func TestOneLookForAll(t *testing.T) {
	root := tree(t, "system.slice/a.service", "system.slice/b.service")
	l := new(looks)
	a, b := filepath.Join(root, "system.slice/a.service"), filepath.Join(root, "system.slice/b.service")
	idA, idB := number(t, a), number(t, b)
	if _, err := l.unitsOf(root, idA); err != nil {
		t.Fatal(err)
	}
	if _, err := l.unitsOf(root, idB); err != nil || l.begun.Load() != 1 {
		t.Errorf("%v after %d looks", err, l.begun.Load())
	}
	if err := os.Mkdir(a+"/new", 0o755); err != nil {
		t.Fatal(err)
	}
	id := number(t, a+"/new")
	if _, err := l.unitsSince(0, root, id); !errors.Is(err, errNoGroup) || l.begun.Load() != 1 {
		t.Errorf("a look that began later counts: %v after %d looks", err, l.begun.Load())
	}
	if _, err := l.unitsOf(root, id); err != nil || l.begun.Load() != 2 {
		t.Errorf("a new group: %v after %d looks", err, l.begun.Load())
	}
}
