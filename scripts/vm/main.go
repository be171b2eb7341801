// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/wsk-xdp/wsk-xdp/testenv/vm"
)

func main() {
	vm.Main()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: vm run|suite [FLAG ...]")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "run":
		err = runCommand(os.Args[2:])
	case "suite":
		err = suiteCommand(os.Args[2:])
	default:
		err = usagef("no such command: %s", os.Args[1])
	}
	os.Exit(exitCode(err))
}

type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFailed: what was to be seen has been said already.
var errFailed = errors.New("failed")

func exitCode(err error) int {
	var (
		cannot *vm.CannotError
		usage  usageError
	)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return 1
	}
	fmt.Fprintln(os.Stderr, "vm:", err)
	switch {
	case errors.As(err, &cannot):
		return vm.ExitCannot
	case errors.As(err, &usage):
		return 2
	}
	return 1
}
