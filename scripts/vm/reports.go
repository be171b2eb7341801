// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
)

// report is what a test said with t.Log, message by message.
type report struct {
	Test    string   `json:"test"`
	Verdict string   `json:"verdict"`
	Said    []string `json:"said"`
}

// logged begins a message of t.Log; its further lines are indented by four more.
var logged = regexp.MustCompile(`^ +[\w.-]+_test\.go:\d+: `)

func reports(log vm.TestLog) []report {
	var all []report
	for _, group := range []struct {
		verdict string
		tests   []vm.TestResult
	}{{"passed", log.Passed}, {"failed", log.Failed}, {"skipped", log.Skipped}} {
		for _, t := range group.tests {
			r := report{Test: t.Name, Verdict: group.verdict}
			inside := false
			for line := range strings.Lines(t.Output) {
				line = strings.TrimRight(line, "\r\n")
				switch prefix := logged.FindString(line); {
				case prefix != "":
					r.Said = append(r.Said, line[len(prefix):])
					inside = true
				case inside && strings.HasPrefix(line, "        "):
					r.Said[len(r.Said)-1] += "\n" + strings.TrimSpace(line)
				default:
					inside = false
				}
			}
			if len(r.Said) > 0 {
				all = append(all, r)
			}
		}
	}
	return all
}

var (
	// ofQueue is a line about a queue, in the words of the tests, with the mode that was granted.
	ofQueue = regexp.MustCompile(`queue \d+: (zero-copy|copy)\b`)
	// statuses is a map of statuses, as Go prints it.
	statuses = regexp.MustCompile(`map\[[^\]]*\(STATUS_[^\]]*\]`)
	status   = regexp.MustCompile(`\((STATUS_\w+) 0x[0-9A-Fa-f]+\):(\d+)`)
)

// modes counts the queues by mode: "4 zero-copy".
func (r report) modes() string {
	counts := map[string]int{}
	for _, m := range ofQueue.FindAllStringSubmatch(strings.Join(r.Said, "\n"), -1) {
		counts[m[1]]++
	}
	var out []string
	for _, mode := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%d %s", counts[mode], mode))
	}
	return strings.Join(out, ", ")
}

// short is the first line of each message but those about single queues, with statuses by name.
func (r report) short() string {
	var out []string
	for _, said := range r.Said {
		first, _, _ := strings.Cut(said, "\n")
		if first == "" || ofQueue.MatchString(first) {
			continue
		}
		out = append(out, statuses.ReplaceAllStringFunc(first, func(m string) string {
			var named []string
			for _, s := range status.FindAllStringSubmatch(m, -1) {
				named = append(named, s[1]+" "+s[2])
			}
			return strings.Join(named, ", ")
		}))
	}
	return strings.Join(out, "; ")
}

// reportTable is the section of the document.
func reportTable(b *strings.Builder, cards []*record) {
	var rows [][]string
	for _, r := range cards {
		c := card{}
		if r.Doctor != nil {
			c, _ = r.Doctor.card()
		}
		for _, said := range r.Reports {
			rows = append(rows, []string{r.series(), c.Driver, said.Test, said.Verdict, said.modes(), said.short()})
		}
	}
	table(b, []string{"kernel", "driver", "test", "verdict", "queues opened, by mode", "reported"}, rows)
}
