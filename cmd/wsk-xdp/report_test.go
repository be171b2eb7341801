// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// What blast writes is shown, drawn and compared.
func TestReport(t *testing.T) {
	_, netns := lab(t, testenv.Topology{NoIPv6: true, Neighbours: testenv.Static})
	dir := t.TempDir()
	before, after, page := filepath.Join(dir, "before.json"), filepath.Join(dir, "after.json"), filepath.Join(dir, "page.html")
	r := cli(timeout(t), netns, "blast", "10.77.0.2:9", "-r", "5k", "-n", "6k", "-q", "--json")
	r.want(t, 0)
	var doc map[string]any
	d := json.NewDecoder(strings.NewReader(r.stdout))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	write := func(path string) {
		t.Helper()
		text, err := json.Marshal(doc)
		if err == nil {
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	totals := doc["totals"].(map[string]any)
	totals["completed_pps"] = 5000 // what it was depends on the machine, and a tenth less of it on how it is rounded
	write(before)
	totals["completed_pps"] = 4500
	write(after)

	cli(timeout(t), "report", before, after).want(t, 0, "blast 10.77.0.2:9 ("+before+")", "rate completed", "verdict")
	cli(timeout(t), "report", before, "--html", page).want(t, 0)
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "Rate over time") || !strings.Contains(string(text), "<polyline") {
		t.Errorf("the page is\n%s, %v", text, err)
	}
	cli(timeout(t), "report", before, "--html", page).want(t, 2, "is there already")
	cli(timeout(t), "report", before, "--html", page, "--force").want(t, 0)
	cli(timeout(t), "report", before, "--html", "-").want(t, 0, "<!DOCTYPE html>", "Completions, how many took how long")
	cli(timeout(t), "report", before, "--csv", "-").want(t, 0, "file,kind,name,at,value", before+",packets,completed,,6000\n", "over time,Rate over time: submitted,",
		"histogram,\"Completions, how many took how long\",")
	cli(timeout(t), "report", before, "--csv", page).want(t, 2, "--csv "+page+" is there already")

	cli(timeout(t), "report", "--diff", before, before, "--threshold", "0%").want(t, 0, "+0.0 %")
	cli(timeout(t), "report", "--diff", before, after, "--threshold", "5%").want(t, 4, "-10.0 %", "completed fell by 10.0 %, more than 5%")
	cli(timeout(t), "report", "--diff", before, after, "--threshold", "11%").want(t, 0, "-10.0 %")
	cli(timeout(t), "report", "--diff", after, before).want(t, 0, "+11.1 %")
	delete(totals, "completed_pps")
	write(after)
	cli(timeout(t), "report", "--diff", before, after, "--threshold", "100%").want(t, 4, "completed is not in "+after)
}

func TestReportUsage(t *testing.T) {
	for args, part := range map[string]string{
		"report": "give a file", "report /nonexistent.json": "no such file", "report --diff a.json": "compares two files",
		"report a.json --threshold 5%": "goes with --diff", "report --diff a b --html c": "leave --html and --csv out", "report a.json --html - --csv -": "there is one standard output",
		"report --diff a b --threshold 5": "write 5% or 0.5%", "report main_test.go": "is no JSON document",
	} {
		cli(t.Context(), strings.Fields(args)...).want(t, 2, part, "--help")
	}
}
