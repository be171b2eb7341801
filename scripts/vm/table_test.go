// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm/row"
)

const checkout = "../.."

// TestDocumentIsMadeOfTheRecords: nobody edits a measurement.
func TestDocumentIsMadeOfTheRecords(t *testing.T) {
	records, err := loadRecords(filepath.Join(checkout, recordDir))
	if err != nil {
		t.Fatal(err)
	}
	if len(records) == 0 {
		t.Fatalf("no records in %s", recordDir)
	}
	text, err := os.ReadFile(filepath.Join(checkout, tableFile))
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != document(records) {
		t.Errorf("%s is not what the records say: run scripts/vm/suite -table", tableFile)
	}
}

// TestNamedKernelsAgreeWithMeasurements holds what the product says a feature needs against what guests showed.
func TestNamedKernelsAgreeWithMeasurements(t *testing.T) {
	records, err := loadRecords(filepath.Join(checkout, recordDir))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{}
	for _, r := range records {
		if r.Doctor == nil {
			continue
		}
		for name, a := range r.Doctor.answers() {
			if n := a.named(); n != "" {
				named[name] = n
			}
		}
	}
	if len(named) == 0 {
		t.Fatal("no answer names a kernel: is the pattern right?")
	}
	for _, r := range records {
		if r.Doctor == nil {
			continue
		}
		for name, a := range r.Doctor.answers() {
			n, ok := named[name]
			if !ok {
				continue
			}
			has := !older(t, r.series(), n)
			if a.Answer == "yes" && !has || a.Answer == "no" && a.named() != "" && has {
				t.Errorf("%s on %s (%s): %s, but it is said to need %s", name, r.series(), r.Setup, a.Answer, n)
			}
		}
	}
}

// older compares versions of two numbers.
func older(t *testing.T, a, b string) bool {
	t.Helper()
	parse := func(s string) (v [2]int) {
		major, minor, _ := strings.Cut(s, ".")
		for i, part := range []string{major, minor} {
			n, err := strconv.Atoi(part)
			if err != nil {
				t.Fatalf("version %q: %v", s, err)
			}
			v[i] = n
		}
		return v
	}
	x, y := parse(a), parse(b)
	return x[0] < y[0] || x[0] == y[0] && x[1] < y[1]
}

func TestDocument(t *testing.T) {
	old := &record{Kernel: "5.10", Release: "5.10.1-amd64", Version: "5.10.1-1", Setup: "veth", Doctor: facts(t, `
		"tx_budget":{"answer":"no","reason":"needs Linux 6.17"},"trial":{"copy_mode":{"answer":"yes"}}`)}
	recent := &record{Kernel: "newest", Release: "7.3.4-amd64", Version: "7.3.4-1", Setup: "veth", Doctor: facts(t, `
		"tx_budget":{"answer":"yes"},"trial":{"copy_mode":{"answer":"yes"},"brand_new":{"answer":"unknown"}}`),
		Tests: []tested{{Package: "xdp", Passed: 4, Skipped: []string{"TestS"}}}}
	igb := &record{Kernel: "newest", Release: "7.3.4-amd64", Version: "7.3.4-1", Setup: "igb", Doctor: facts(t, `
		"interface":{"driver":"igb","tx_queues":4,"rx_queues":4,"features_known":true,"native_xdp":true,"tried":{"zero_copy":{"answer":"yes"}}}`),
		Measured: []row.Row{{What: "send | paced", Mode: "zero-copy", Queues: 4, Sent: 7,
			Statuses: map[string]int{"B": 1, "A": 6}}}}
	text := document([]*record{old, recent, igb})
	for _, want := range []string{
		"| feature | 5.10 | 7.3 | first seen with | the product says it needs |\n",
		"| bind in copy mode | yes | yes | 5.10 | — |\n",
		"| XDP_MAX_TX_SKB_BUDGET | no | yes | 7.3 | 6.17 |\n",
		"| brand new | — | unknown | — | — |\n",
		"| 7.3 | igb | igb | 4 / 4 | 0 / 0 | yes | yes | — | — |\n",
		"| 7.3 | igb | zero-copy | 4 | send \\| paced | 7 | — | A 6, B 1 | — |\n",
		"| 7.3 | veth | xdp | 4 | 0 | 1 | skipped TestS |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func facts(t *testing.T, fields string) *doctor {
	t.Helper()
	d, err := parseDoctor([]byte(`{"facts":{` + fields + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
