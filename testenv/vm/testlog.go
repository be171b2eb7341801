// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"regexp"
	"slices"
	"strings"
)

// TestFlag makes a test binary mark what it says itself, so that ParseTests can tell it from what tests print.
const TestFlag = "-test.v=test2json"

// TestLog is what a test binary reported, subtests counted like tests.
type TestLog struct {
	Passed  []TestResult
	Failed  []TestResult
	Skipped []TestResult
}

// TestResult is a test and its output.
type TestResult struct {
	Name   string
	Output string
}

// Ran is the number of tests that came to an end other than being skipped.
func (l TestLog) Ran() int { return len(l.Passed) + len(l.Failed) }

// mark begins what the test binary says itself (cmd/internal/test2json of Go).
const mark = "\x16"

var (
	testEnds   = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+) \(`)
	testSpeaks = regexp.MustCompile(`^=== (RUN|NAME|CONT|PAUSE) +(\S*)$`)
)

// ParseTests reads the output of a test binary that ran with TestFlag. A test that began and never ended has failed.
func ParseTests(output string) TestLog {
	var (
		l       TestLog
		current string
		said    = map[string]*strings.Builder{}
		open    []string
	)
	for line := range strings.Lines(output) {
		for i, part := range strings.Split(line, mark) {
			text := strings.TrimRight(part, "\r\n")
			if i > 0 {
				if m := testSpeaks.FindStringSubmatch(text); m != nil {
					current = m[2]
					if m[1] == "RUN" {
						said[current] = &strings.Builder{}
						open = append(open, current)
					}
					continue
				}
				if m := testEnds.FindStringSubmatch(text); m != nil && said[m[2]] != nil {
					open = slices.DeleteFunc(open, func(name string) bool { return name == m[2] })
					l.add(m[1], TestResult{m[2], said[m[2]].String()})
					continue
				}
			}
			if b := said[current]; b != nil && part != "" {
				b.WriteString(part)
			}
		}
	}
	for _, name := range open {
		said[name].WriteString("did not end\n")
		l.add("FAIL", TestResult{name, said[name].String()})
	}
	return l
}

func (l *TestLog) add(verdict string, r TestResult) {
	switch verdict {
	case "PASS":
		l.Passed = append(l.Passed, r)
	case "FAIL":
		l.Failed = append(l.Failed, r)
	case "SKIP":
		l.Skipped = append(l.Skipped, r)
	}
}
