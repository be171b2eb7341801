// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
)

func TestReports(t *testing.T) {
	const output = "    nicsend_test.go:39: igb: statuses map[done (STATUS_SUCCESS 0x00000000):99 gone, for good " +
		"(STATUS_FILE_FORCED_CLOSED 0xC00000B6):1]; 100 of 100 arrived\n" +
		"          eth0: pass program true\n" +
		"          eth0 queue 0: zero-copy, up\n" +
		"          eth0 queue 1: zero-copy, up\n" +
		"not logged, printed\n" +
		"        nor this\n" +
		"    nic_test.go:7: queue 2: copy, waited 3ms\n"
	log := vm.TestLog{
		Passed:  []vm.TestResult{{Name: "TestNICSend", Output: output}, {Name: "TestSilent"}},
		Skipped: []vm.TestResult{{Name: "TestNICDown", Output: "    nic_test.go:1: why\n"}},
	}
	got := reports(log)
	want := []report{
		{"TestNICSend", "passed", []string{
			"igb: statuses map[done (STATUS_SUCCESS 0x00000000):99 gone, for good (STATUS_FILE_FORCED_CLOSED 0xC00000B6):1]; " +
				"100 of 100 arrived\neth0: pass program true\neth0 queue 0: zero-copy, up\neth0 queue 1: zero-copy, up",
			"queue 2: copy, waited 3ms",
		}},
		{"TestNICDown", "skipped", []string{"why"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if m := got[0].modes(); m != "1 copy, 2 zero-copy" {
		t.Errorf("modes %q", m)
	}
	if s := got[0].short(); s != "igb: statuses STATUS_SUCCESS 99, STATUS_FILE_FORCED_CLOSED 1; 100 of 100 arrived" {
		t.Errorf("short %q", s)
	}
}
