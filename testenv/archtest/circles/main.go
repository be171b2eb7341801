// SPDX-License-Identifier: Apache-2.0

// Command circles prints, for each package, how many of its files need each other, beside the limit and the goal.
//
//	go run ./testenv/archtest/circles [-v] [package …]
//
// With -v, and for a package above its limit, it also prints the files of each circle, the files that leave it most
// cheaply, and the references that make it up with the cheapest first. A package is a path within the module
// ("wsk/datapath") or a pattern of the go command ("./wsk/..."); without one it is all. The exit code is 1 when a
// package is above its limit or has none.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/wsk-xdp/wsk-xdp/testenv/archtest"
)

func main() {
	verbose := flag.Bool("v", false, "print the files of every circle and where it is cut")
	flag.Parse()
	ok, err := run(*verbose, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "circles:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(verbose bool, packages []string) (ok bool, err error) {
	patterns := make([]string, len(packages))
	for i, p := range packages {
		patterns[i] = "./" + strings.TrimPrefix(p, "./")
	}
	loaded, err := archtest.Load(patterns...)
	if err != nil {
		return false, err
	}
	ok = true
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "package\tfiles\treferences\tcircle\tlimit\tgoal\t")
	var details strings.Builder
	for _, p := range loaded {
		row := archtest.CircleOf(p)
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t\n", p.Path, row.Files, row.References, row.Size, row.Bounds())
		ok = ok && row.OK()
		if verbose || !row.OK() {
			details.WriteString(row.Explain())
		}
	}
	table.Flush()
	fmt.Print(details.String())
	return ok, nil
}
