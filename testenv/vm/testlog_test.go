// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTests(t *testing.T) {
	const output = "^=== RUN   TestA\n" +
		"^=== RUN   TestA/x\n" +
		"no end of line    a_test.go:3: hi\n        there\n" +
		"^--- FAIL: TestA/x (0.00s)\n" +
		"^=== NAME  TestA\n" +
		"^=== RUN   TestA/s\n" +
		"    a_test.go:3: why\n" +
		"^--- SKIP: TestA/s (0.00s)\n" +
		"^=== NAME  TestA\n" +
		"^--- FAIL: TestA (0.00s)\n" +
		"^=== NAME  \n" +
		"^=== RUN   TestB\n" +
		"--- FAIL: TestC (0.0s)\n" + // a test's own words
		"half a line^--- PASS: TestB (1.20s)\n" +
		"^=== RUN   TestHangs\n" +
		"so far\n" +
		"panic: test timed out\n"
	got := ParseTests(strings.ReplaceAll(output, "^", mark))
	want := TestLog{
		Passed: []TestResult{{"TestB", "--- FAIL: TestC (0.0s)\nhalf a line"}},
		Failed: []TestResult{
			{"TestA/x", "no end of line    a_test.go:3: hi\n        there\n"},
			{"TestA", ""},
			{"TestHangs", "so far\npanic: test timed out\ndid not end\n"},
		},
		Skipped: []TestResult{{"TestA/s", "    a_test.go:3: why\n"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got.Ran() != 4 {
		t.Errorf("%d ran", got.Ran())
	}
}

func TestParseNoTests(t *testing.T) {
	if l := ParseTests("testing: warning: no tests to run\n" + mark + "PASS\n"); l.Ran() != 0 || len(l.Skipped) != 0 {
		t.Errorf("%+v", l)
	}
}
