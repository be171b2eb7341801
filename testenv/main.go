// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// ExitLeak is the exit code of Main when all tests passed but something is left.
const ExitLeak = 99

// settleTime is how long what is being closed may take to go: goroutines end and descriptors close a little after the
// call that ends them.
const settleTime = 10 * time.Second

// Main runs a package's tests and exits; m is a *testing.M:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// When the tests passed it fails the package with ExitLeak on descriptors, socket mappings or goroutines that were
// not there before, and names them. It prints how many top-level tests ran and which were skipped by Require and Skipf.
func Main(m interface{ Run() int }) {
	if patienceErr != nil {
		fmt.Fprintln(os.Stderr, "testenv:", patienceErr)
		os.Exit(2)
	}
	before := takeInventory()
	code := m.Run()
	report(os.Stdout, countTests(m))
	if code == 0 {
		if leaks := before.leaks(settleTime); len(leaks) > 0 {
			fmt.Fprintf(os.Stderr, "testenv: %d leaks:\n%s\n", len(leaks), strings.Join(leaks, "\n"))
			code = ExitLeak
		}
	}
	os.Exit(code)
}

func report(w io.Writer, selected int) {
	skips := Skipped()
	top := map[string]bool{}
	for _, name := range skips {
		if !strings.Contains(name, "/") {
			top[name] = true
		}
	}
	run := selected - len(top)
	fmt.Fprintf(w, "testenv: %d tests ran, %d skipped", run, len(skips))
	if len(skips) > 0 {
		fmt.Fprintf(w, ": %s", strings.Join(skips, " "))
	}
	fmt.Fprintln(w)
}
