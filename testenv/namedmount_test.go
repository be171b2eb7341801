// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseMounts(t *testing.T) {
	got := parseMounts("64 63 0:4 net:[4026532316] /run/netns/wsk-a rw - nsfs nsfs rw\n" +
		"65 63 0:4 / /run/with\\040blank\\134 rw shared:1 - tmpfs tmpfs rw\n" + "\n" + "short line\n" + "1 2 3 \\9 \\04")
	want := []mount{{"/run/netns/wsk-a", "net:[4026532316]"}, {"/run/with blank\\", "/"}, {"\\04", "\\9"}}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("mount %d: %q, want %q", i, got[i], want[i])
		}
	}
}

// iproute2 does this before it adds a name.
func shareAsIproute2() error {
	if unix.Mount("", namespaceDir, "none", unix.MS_SHARED|unix.MS_REC, "") == nil {
		return nil
	}
	if err := unix.Mount(namespaceDir, namespaceDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("", namespaceDir, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// uncovered makes the directory of names as it is at boot.
func uncovered() error {
	for range mostLayers {
		if unix.Unmount(namespaceDir, unix.MNT_DETACH) != nil {
			break
		}
	}
	left, err := mountsOnNames()
	if err != nil {
		return err
	}
	if more := left[len(inheritedMounts):]; len(more) != 0 {
		return fmt.Errorf("%v are mounted", more)
	}
	return nil
}

// inheritedMounts are those that were on the directory of names before the test put a /run of its own over it, and that it
// may not take off: in a user namespace they are locked. They are still listed, though nobody can reach them.
var inheritedMounts []string

// mountsOnNames lists what is mounted on the directory of names, in the order of the mounts.
func mountsOnNames() (points []string, err error) {
	mounts, err := readMounts()
	for _, m := range mounts {
		if strings.HasPrefix(m.point, namespaceDir) {
			points = append(points, m.point)
		}
	}
	return points, err
}

// addedAfterUp: where / is not shared, names that others add while a lab is up cover none of ours.
func addedAfterUp() error {
	if err := uncovered(); err != nil {
		return err
	}
	lab, err := UpNamed("wsk", Topology{})
	if err != nil {
		return err
	}
	defer lab.Close()
	if err := shareAsIproute2(); err != nil {
		return err
	}
	theirs, err := foreignNamespace("theirs")
	if err != nil {
		return err
	}
	defer theirs.Close()
	points, err := mountsOnNames()
	if err != nil {
		return err
	}
	// A lab of the host that is up beside the test is among the inherited ones.
	ours := slices.DeleteFunc(points[len(inheritedMounts):], func(p string) bool { return p != "/run/netns/wsk-a" })
	if len(ours) != 1 {
		return fmt.Errorf("wsk-a is mounted %d times", len(ours))
	}
	if removed, err := DownNamed("wsk"); err != nil || len(removed) != 2 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	if err := removeForeign(theirs, "theirs"); err != nil {
		return err
	}
	return nothingIn("/run/netns", "/run/wsk-xdp", "lab.lock")
}

// coveredNames: a lab whose names were covered, twice even, goes all the same, and the names of others stay.
func coveredNames() error {
	if err := uncovered(); err != nil {
		return err
	}
	// A name that is there before keeps UpNamed from sharing the directory.
	theirs, err := NewNamespace()
	if err != nil {
		return err
	}
	defer theirs.Close()
	if err := os.WriteFile("/run/netns/theirs", nil, 0o444); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", theirs.FD()), "/run/netns/theirs", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	lab, err := UpNamed("wsk", Topology{})
	if err != nil {
		return err
	}
	defer lab.Close()
	for range 2 {
		if err := unix.Mount(namespaceDir, namespaceDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	if err := shareAsIproute2(); err != nil {
		return err
	}
	if removed, err := DownNamed("wsk"); err != nil || len(removed) != 2 {
		return fmt.Errorf("removed %v, %v", removed, err)
	}
	still, err := OpenNamespace("theirs")
	if err != nil {
		return fmt.Errorf("theirs was removed: %w", err)
	}
	a, err1 := still.Inode()
	b, err2 := theirs.Inode()
	if err := errors.Join(err1, err2, still.Close()); err != nil || a != b {
		return fmt.Errorf("theirs is another: %v", err)
	}
	if err := removeForeign(theirs, "theirs"); err != nil {
		return err
	}
	return nothingIn("/run/netns", "/run/wsk-xdp", "lab.lock")
}
