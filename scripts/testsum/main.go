// SPDX-License-Identifier: Apache-2.0

// Testsum runs `go test -json` commands, separated by arguments that are a semicolon, one after the other. It prints one
// line per package, the output of whatever failed, the reason of every skip, and last the number of tests that passed,
// failed and were skipped in all of them. Its exit status is that of the first command that failed. With TESTSUM_LOOPBACK
// set it first brings up the loopback interface, which is down in a fresh network namespace.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

type summary struct {
	passed, failed, skipped int
	output                  map[string][]string
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testsum COMMAND [ARG ...] [\";\" COMMAND [ARG ...]] ...")
		os.Exit(2)
	}
	if os.Getenv("TESTSUM_LOOPBACK") != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "testsum: bring lo up:", err)
			os.Exit(1)
		}
	}
	s := summary{output: make(map[string][]string)}
	first := 0
	for args := os.Args[1:]; len(args) > 0; {
		command, rest := split(args)
		args = rest
		code, err := s.run(command)
		if err != nil {
			fmt.Fprintln(os.Stderr, "testsum:", err)
			code = 1
		}
		if first == 0 {
			first = code
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	os.Exit(first)
}

// split divides arguments at the first that is a semicolon.
func split(args []string) (command, rest []string) {
	i := slices.Index(args, ";")
	if i < 0 {
		return args, nil
	}
	return args[:i], args[i+1:]
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

func (s *summary) run(args []string) (int, error) {
	if len(args) == 0 {
		return 0, errors.New("there is no command before or after a semicolon")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var ev event
		if json.Unmarshal(lines.Bytes(), &ev) != nil {
			fmt.Println(lines.Text())
			continue
		}
		s.take(ev)
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

func (s *summary) take(ev event) {
	key := ev.Package + " " + ev.Test
	switch ev.Action {
	case "output", "build-output":
		if ev.Action == "build-output" {
			fmt.Print(ev.Output)
			return
		}
		s.output[key] = append(s.output[key], ev.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	if ev.Test == "" {
		s.endPackage(ev, key)
		return
	}
	switch ev.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		fmt.Printf("--- FAIL %s\n%s", key, strings.Join(s.output[key], ""))
	case "skip":
		s.skipped++
		fmt.Printf("--- SKIP %s\n%s", key, strings.Join(s.output[key], ""))
	}
	delete(s.output, key)
}

func (s *summary) endPackage(ev event, key string) {
	word := map[string]string{"pass": "ok  ", "fail": "FAIL", "skip": "--  "}[ev.Action]
	fmt.Printf("%s %s %.1fs\n", word, ev.Package, ev.Elapsed)
	if ev.Action == "fail" {
		fmt.Print(strings.Join(s.output[key], ""))
		if s.failed == 0 {
			s.failed++ // the package failed outside a test: a panic, a leak check, a build
		}
	}
	delete(s.output, key)
}
