// SPDX-License-Identifier: Apache-2.0

// Package benchtest is what the tests of the measurements have in common: the test binary as the children of a run, and
// what each configuration and each document is judged by.
package benchtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wsk-xdp/wsk-xdp/cmd/wsk-xdp/internal/bench/proc"
	"github.com/wsk-xdp/wsk-xdp/testenv"
)

// Limit bounds a test; the machine may be busy.
const Limit = 5 * time.Minute

// Main is TestMain of a package whose test binary is also the children of a run: parts are their programs by name.
func Main(m *testing.M, parts map[string]func(stdin io.Reader, stdout io.Writer) error) {
	if len(os.Args) == 3 && os.Args[1] == "child" && parts[os.Args[2]] != nil {
		if err := parts[os.Args[2]](os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testenv.Main(m)
}

// Child is the command line that starts such a child; the name of the part is appended.
func Child(t *testing.T) []string {
	t.Helper()
	t.Setenv("GORACE", "atexit_sleep_ms=0") // with the race detector every child would wait a second for others' reports
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "child"}
}

// NothingRuns fails the test when a process that a run started is left.
func NothingRuns(t *testing.T) {
	t.Helper()
	if tree := proc.Tree(os.Getpid()); len(tree) != 1 {
		t.Errorf("processes left behind: %v", tree[1:])
	}
}

// Interrupted checks that a run which is interrupted after a while ends with an error and gives everything back.
func Interrupted(t *testing.T, after time.Duration, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), after)
	defer cancel()
	if err := run(ctx); err == nil {
		t.Error("no error")
	}
	NothingRuns(t)
}

// Refused checks that a good configuration passes and that each spoiled copy of it is refused with the text that is the
// key.
func Refused[C any](t *testing.T, good C, check func(*C) error, spoil map[string]func(*C)) {
	t.Helper()
	if err := check(&good); err != nil {
		t.Fatal(err)
	}
	for want, f := range spoil {
		c := good
		f(&c)
		if err := check(&c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Document holds a JSON document to what was published: its schema, the number of its results, and the keys of the
// first, sorted. It returns the results.
func Document(t *testing.T, report any, schema, results string, n int, keys string) []map[string]any {
	t.Helper()
	raw, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	list, _ := doc[results].([]any)
	if doc["schema"] != schema || len(list) != n {
		t.Fatalf("%s", raw)
	}
	all := make([]map[string]any, n)
	for i := range list {
		all[i], _ = list[i].(map[string]any)
	}
	var got []string
	for key := range all[0] {
		got = append(got, key)
	}
	slices.Sort(got)
	if diff := cmp.Diff(strings.Fields(keys), got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	return all
}
