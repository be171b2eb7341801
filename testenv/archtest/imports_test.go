// SPDX-License-Identifier: Apache-2.0

package archtest

import "testing"

func TestImports(t *testing.T) {
	rows := make(map[string]ImportRow)
	for _, row := range Imports {
		rows[row.Package] = row
	}
	for _, p := range module(t) {
		row, ok := rows[p.Path]
		if !ok {
			t.Errorf("%s has no row in imports.go: say there what it may import", p.Path)
			continue
		}
		because := ""
		if row.Why != "" {
			because = " (" + row.Why + ")"
		}
		for _, path := range p.Imports {
			if !row.MayImport(path) {
				t.Errorf("%s imports %s, which imports.go does not let it%s", p.Path, Short(path), because)
			}
		}
		for _, path := range p.TestImports {
			if !row.TestsMayImport(path) {
				t.Errorf("a test of %s imports %s, which imports.go does not let it%s", p.Path, Short(path), because)
			}
		}
	}
}

func TestImportTable(t *testing.T) {
	var names []string
	for _, row := range Imports {
		names = append(names, row.Package)
	}
	judgeRows(t, "imports.go", names)
}

// TestWallsStand tries what must never pass, whatever becomes of the table.
func TestWallsStand(t *testing.T) {
	for _, never := range []struct{ pkg, path string }{
		{"bpf", Module + "/wsk"},
		{"frame", sys},
		{"frame", Module + "/wsk"},
		{"wsk", sys},
		{"wsk", Module + "/wsk/route"},
		{"wsk", Module + "/xdp"},
		{"wsk/netconn", Module + "/wsk/datapath"},
		{"wsk/route", Module + "/frame"},
		{"wsk/datapath", otherXDP},
		{"wsk/datapath", Module + "/testenv"},
		{"wsk/datapath/internal/ops", Module + "/wsk/datapath/internal/send"},
		{"wsk/datapath/internal/receive", Module + "/wsk/datapath/internal/send"},
		{"wsk/datapath/internal/send", Module + "/wsk/datapath/internal/receive"},
		{"wsk/datapath/internal/send", Module + "/wsk/datapath/internal/device"},
		{"xdp", Module + "/frame"},
		{"xdp/nic", Module + "/xdp"},
	} {
		for _, row := range Imports {
			if row.Package == never.pkg && row.MayImport(never.path) {
				t.Errorf("imports.go lets %s import %s", never.pkg, Short(never.path))
			}
		}
	}
	row := ImportRow{May: []string{"xdp", ebpf}}
	for path, want := range map[string]bool{
		"net/netip":                 true,
		Module + "/xdp":             true,
		Module + "/xdp/nic":         false,
		ebpf:                        true,
		ebpf + "/link":              true,
		"github.com/cilium/ebpfish": false,
	} {
		if got := row.MayImport(path); got != want {
			t.Errorf("a row with xdp and ebpf lets %s: %t, want %t", path, got, want)
		}
	}
}
