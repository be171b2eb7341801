// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
	"github.com/wsk-xdp/wsk-xdp/testenv/vm/row"
)

// recordSchema names the form of a record.
const recordSchema = "wsk-xdp.guest/1"

// record is what was found in one guest. docs/kernels.md is made of them.
type record struct {
	Schema string `json:"schema"`
	// Kernel is what was asked for, Release and Version what that was on that day.
	Kernel  string `json:"kernel"`
	Release string `json:"release"`
	Version string `json:"package_version"`
	Setup   string `json:"setup"`
	Date    string `json:"date"`
	// Doctor is the answer of `wsk-xdp doctor --json --try` without its findings, which say the same in words.
	Doctor *doctor `json:"doctor,omitempty"`
	// Measured are the rows that tests left.
	Measured []row.Row `json:"measured,omitempty"`
	Tests    []tested  `json:"tests"`

	// Reports are what tests with network cards logged.
	Reports []report `json:"reports,omitempty"`
	// Complaints are what the guest's kernel said of trouble in itself.
	Complaints []string `json:"kernel_complaints,omitempty"`

	// Problem is what was wrong with the guest itself. Such a guest is not recorded.
	Problem string        `json:"-"`
	Took    time.Duration `json:"-"`
}

// doctor is what the table takes from its answer.
type doctor struct {
	Facts   map[string]json.RawMessage `json:"facts"`
	Summary struct {
		TX       string `json:"tx"`
		RX       string `json:"rx"`
		ZeroCopy string `json:"zero_copy"`
	} `json:"summary"`
}

func parseDoctor(raw []byte) (*doctor, error) {
	d := &doctor{}
	if err := json.Unmarshal(raw, d); err != nil {
		return nil, fmt.Errorf("read %s: %w", doctorFile, err)
	}
	return d, nil
}

// tested is what became of one package's tests.
type tested struct {
	Package string   `json:"package"`
	Passed  int      `json:"passed"`
	Failed  []string `json:"failed,omitempty"`
	Skipped []string `json:"skipped,omitempty"`
}

// newRecord puts together what a guest said and left in out.
func newRecord(g guestPlan, k vm.Kernel, r *vm.Result, out string) (*record, error) {
	rec := &record{
		Schema: recordSchema, Kernel: k.Name, Release: k.Release, Version: k.Version, Setup: g.setup.Name,
		Date: time.Now().UTC().Format(time.DateOnly), Took: r.Took,
		Complaints: r.Complaints(),
	}
	if r.State != vm.Done {
		rec.Problem = fmt.Sprintf("guest %v: %s", r.State, r.Reason)
	}
	for i, s := range g.steps {
		rec.Tests = append(rec.Tests, judge(s, r.Commands[i]))
		if s.pkg != "" && len(g.setup.NICs) > 0 {
			rec.Reports = append(rec.Reports, reports(vm.ParseTests(r.Commands[i].Output))...)
		}
	}
	raw, err := os.ReadFile(filepath.Join(out, doctorFile))
	if err == nil {
		if rec.Doctor, err = parseDoctor(raw); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	rec.Measured, err = readRows(out)
	return rec, err
}

// judge makes counts of a command's end. A step that is no test counts as one.
func judge(s step, c vm.CommandResult) tested {
	t := tested{Package: s.name}
	if s.pkg == "" {
		if c.OK() {
			t.Passed = 1
		} else {
			t.Failed = []string{s.name}
		}
		return t
	}
	log := vm.ParseTests(c.Output)
	t.Passed = len(log.Passed)
	for _, f := range log.Failed {
		t.Failed = append(t.Failed, f.Name)
	}
	for _, f := range log.Skipped {
		t.Skipped = append(t.Skipped, f.Name)
	}
	switch {
	case len(t.Failed) > 0:
	case !c.Ended:
		t.Failed = []string{"(did not end)"}
	case c.Code != 0:
		t.Failed = []string{fmt.Sprintf("(exit code %d)", c.Code)}
	case log.Ran() == 0:
		t.Failed = []string{"(no test ran)"}
	}
	return t
}

// readRows reads the files *.row.json, each of which holds a row or an array of them.
func readRows(dir string) ([]row.Row, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+row.Suffix))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var all []row.Row
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		rows := []row.Row{{}}
		if raw = bytes.TrimSpace(raw); bytes.HasPrefix(raw, []byte("[")) {
			err = json.Unmarshal(raw, &rows)
		} else {
			err = json.Unmarshal(raw, &rows[0])
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Base(p), err)
		}
		all = append(all, rows...)
	}
	return all, nil
}

func (r *record) counts() (passed, failed, skipped int) {
	for _, t := range r.Tests {
		passed += t.Passed
		failed += len(t.Failed)
		skipped += len(t.Skipped)
	}
	return passed, failed, skipped
}

func (r *record) ok() bool {
	_, failed, _ := r.counts()
	return failed == 0 && r.Problem == ""
}

func (r *record) fileName() string { return r.Kernel + "-" + r.Setup + ".json" }

// save writes the record into dir.
func (r *record) save(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.fileName()), append(raw, '\n'), 0o644)
}

// loadRecords reads all of dir, in the order of kernels and set-ups.
func loadRecords(dir string) ([]*record, error) {
	var all []*record
	for _, s := range vm.Setups() {
		for _, k := range kernels {
			raw, err := os.ReadFile(filepath.Join(dir, k+"-"+s.Name+".json"))
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			r := &record{}
			if err := json.Unmarshal(raw, r); err != nil {
				return nil, fmt.Errorf("read record %s-%s: %w", k, s.Name, err)
			}
			if r.Schema != recordSchema {
				return nil, fmt.Errorf("record %s-%s: schema %q, want %s: measure again", k, s.Name, r.Schema, recordSchema)
			}
			all = append(all, r)
		}
	}
	return all, nil
}
