// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/row"
)

func ended(code int, output string) vm.CommandResult {
	return vm.CommandResult{Ended: true, Code: code, Output: strings.ReplaceAll(output, "^", "\x16")}
}

func TestJudge(t *testing.T) {
	const (
		passed  = "^=== RUN   TestA\n^--- PASS: TestA (0.00s)\n"
		failed  = "^=== RUN   TestB\n^--- FAIL: TestB (0.00s)\n"
		skipped = "^=== RUN   TestC\n    no\n^--- SKIP: TestC (0.00s)\n"
	)
	inPackage, alone := step{name: "xdp", pkg: "xdp"}, step{name: "doctor"}
	for name, c := range map[string]struct {
		step step
		got  vm.CommandResult
		want tested
	}{
		"passed":     {inPackage, ended(0, passed+skipped), tested{"xdp", 1, nil, []string{"TestC"}}},
		"failed":     {inPackage, ended(1, passed+failed), tested{"xdp", 1, []string{"TestB"}, nil}},
		"leak":       {inPackage, ended(99, passed), tested{"xdp", 1, []string{"(exit code 99)"}, nil}},
		"no test":    {inPackage, ended(0, ""), tested{"xdp", 0, []string{"(no test ran)"}, nil}},
		"only skips": {inPackage, ended(0, skipped), tested{"xdp", 0, []string{"(no test ran)"}, []string{"TestC"}}},
		"guest died": {inPackage, vm.CommandResult{}, tested{"xdp", 0, []string{"(did not end)"}, nil}},
		"guest died inside": {inPackage, vm.CommandResult{Output: "\x16=== RUN   TestA\n"},
			tested{"xdp", 0, []string{"TestA"}, nil}},
		"step":        {alone, ended(0, ""), tested{"doctor", 1, nil, nil}},
		"step failed": {alone, ended(3, ""), tested{"doctor", 0, []string{"doctor"}, nil}},
		"step died":   {alone, vm.CommandResult{}, tested{"doctor", 0, []string{"doctor"}, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, judge(c.step, c.got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestConclusion(t *testing.T) {
	good := outcome{record: &record{Tests: []tested{{Passed: 1}}}}
	bad := outcome{record: &record{Tests: []tested{{Passed: 1, Failed: []string{"TestA"}}}}}
	died := outcome{record: &record{Tests: []tested{{Passed: 1}}, Problem: "hung"}}
	impossible := outcome{err: vm.Cannotf("no taps")}
	for name, c := range map[string]struct {
		all  []outcome
		code int
	}{
		"good":                     {[]outcome{good, good}, 0},
		"failure":                  {[]outcome{good, bad}, 1},
		"a guest that died":        {[]outcome{died, good}, 1},
		"cannot":                   {[]outcome{good, impossible}, vm.ExitCannot},
		"failure outweighs cannot": {[]outcome{impossible, bad}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(conclusion(c.all)); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			var b strings.Builder
			printTable(&b, c.all, time.Second)
			if cannot := strings.Contains(b.String(), "CANNOT"); cannot != (strings.Contains(name, "cannot")) {
				t.Errorf("table:\n%s", &b)
			}
		})
	}
}

func TestRecordsComeBack(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(doctorFile, `{"facts":{"tx_budget":{"answer":"no","reason":"x: not supported (needs Linux 6.17)"},
		"trial":{"where":"here","copy_mode":{"answer":"yes"}},
		"interface":{"driver":"igb","tx_queues":4,"rx_queues":4,"tried":{"zero_copy":{"answer":"yes"}}}},"findings":[]}`)
	write("b.row.json", `{"what":"one","sent":5}`)
	write("a.row.json", ` [{"what":"two"},{"what":"three"}]`)
	g := guestPlan{kernel: "6.12", setup: setup("igb"), steps: []step{cardFacts}}
	k := vm.Kernel{Name: "6.12", Release: "6.12.9-amd64", Version: "6.12.9-1"}
	r, err := newRecord(g, k, &vm.Result{State: vm.Done, Commands: []vm.CommandResult{ended(0, "")}}, out)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	back, err := loadRecords(dir)
	if err != nil || len(back) != 1 {
		t.Fatalf("%d records, %v", len(back), err)
	}
	if d := cmp.Diff([]row.Row{{What: "two"}, {What: "three"}, {What: "one", Sent: 5}}, back[0].Measured); d != "" {
		t.Error(d)
	}
	a := back[0].Doctor.answers()
	if len(a) != 3 || a["tx_budget"].named() != "6.17" || a["trial.copy_mode"].Answer != "yes" ||
		a["tried.zero_copy"].Answer != "yes" {
		t.Errorf("answers %+v", a)
	}
	if c, ok := back[0].Doctor.card(); !ok || c.Driver != "igb" || c.RxQueues != 4 {
		t.Errorf("card %+v, %t", c, ok)
	}
	write("c.row.json", "{")
	if _, err := readRows(out); err == nil || !strings.Contains(err.Error(), "c.row.json") {
		t.Errorf("broken row: %v", err)
	}
}

// TestGuestThatDied: nothing of it can pass for a result.
func TestGuestThatDied(t *testing.T) {
	g := guestPlan{kernel: "6.12", setup: setup("veth"), steps: []step{vethFacts, tests("xdp", "-test.run=X", false)}}
	commands := []vm.CommandResult{ended(0, ""), {}}
	r, err := newRecord(g, vm.Kernel{}, &vm.Result{State: vm.Ready, Reason: "panic", Commands: commands}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if r.ok() || !strings.Contains(r.Problem, "panic") {
		t.Errorf("%+v", r)
	}
	if err := conclusion([]outcome{{record: r}}); !errors.Is(err, errFailed) {
		t.Errorf("conclusion %v", err)
	}
}
