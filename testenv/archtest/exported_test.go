// SPDX-License-Identifier: Apache-2.0

package archtest

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/exported.txt anew: for a release, not for a change")

// TestNoExportedNameIsLost holds the public packages to the names of testdata/exported.txt, which are those of the
// commit be11b28. One that goes, or moves to another package without an alias, needs a line in CHANGELOG.md that
// mentions it with its package, under Changed, Deprecated or Removed: "`xdp.Thing` is `nic.Thing` now".
func TestNoExportedNameIsLost(t *testing.T) {
	var now []string
	for _, p := range module(t) {
		if slices.Contains(Public, p.Path) {
			now = append(now, Exported(p)...)
		}
	}
	slices.Sort(now)
	list := filepath.Join("testdata", "exported.txt")
	if *update {
		if err := os.WriteFile(list, []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(before))
	if len(names) < 1400 {
		t.Errorf("only %d names in %s, want at least 1400", len(names), list)
	}
	for _, name := range Unsaid(names, now, readDocument(t, "CHANGELOG.md")) {
		t.Errorf("%s is gone and no Changed or Removed of CHANGELOG.md mentions it: bring it back, leave an alias, or say there what to use", name)
	}
}

func TestExported(t *testing.T) {
	p := source(t, `
		const C, c = 1, 2
		var V int
		func F() {}
		type T struct { N, n int; *in; Out }
		func (T) M() {}
		func (*T) P() {}
		func (T) m() {}
		type in struct { Deep int; *T }
		func (*in) Promoted() {}
		type Out struct { More int }
		type I interface { Do(); do() }
		type A = T
		type G[E any] struct { Of E }
		func (G[E]) On() {}
		type hidden struct { No int }`)
	members := "Deep M Promoted P N Out More T"
	var want []string
	for _, name := range strings.Fields("C V F I I.Do Out Out.More G G.Of G.On T A") {
		want = append(want, "up."+name)
	}
	for _, m := range strings.Fields(members) {
		want = append(want, "up.T."+m, "up.A."+m)
	}
	slices.Sort(want)
	if got := Exported(p); !slices.Equal(got, want) {
		t.Errorf("exported\n%v, want\n%v", got, want)
	}
}

func TestUnsaid(t *testing.T) {
	before := []string{"xdp.Gone", "xdp.Gone.Field", "xdp.Kept", "xdp.Kept.Lost", "xdp.Kept.Stays", "xdp.Went"}
	now := []string{"xdp.Kept", "xdp.Kept.Stays"}
	for changelog, want := range map[string][]string{
		"": {"xdp.Gone", "xdp.Gone.Field", "xdp.Kept.Lost", "xdp.Went"},
		"\n### Changed\n`xdp.Gone` is `nic.Gone` now":                                      {"xdp.Kept.Lost", "xdp.Went"},
		"\n### Added\n- xdp.Gone\n\n### Removed\n- xdp.Gone, xdp.Kept.Lost\n- xdp.Went.\n": nil,
		"\n### Changed\nno\n### Added\nxdp.Gone":                                           {"xdp.Gone", "xdp.Gone.Field", "xdp.Kept.Lost", "xdp.Went"},
		"\n### Removed\nxdp.Goner, Kept.Lost, nic.Went":                                    {"xdp.Gone", "xdp.Gone.Field", "xdp.Kept.Lost", "xdp.Went"},
	} {
		if got := Unsaid(before, now, changelog); !slices.Equal(got, want) {
			t.Errorf("%q: unsaid %v, want %v", changelog, got, want)
		}
	}
}
