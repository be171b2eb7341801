// SPDX-License-Identifier: Apache-2.0

// Command faults breaks what the datapath stands on, fault by fault, and prints the account of every datagram. It needs root.
// It exits with 1 when a datagram is unexplained, an IRP is pending, something is left behind or does not come back, and with 2 when
// it could not run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/faults"
)

func main() {
	faults.Child()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("run", "", "only faults whose names have one of these parts, separated by commas")
	verbose := flags.Bool("v", false, "print the datapath's log")
	list := flags.Bool("list", false, "print the names and what happens, and run nothing")
	seed := flags.Uint64("seed", rand.Uint64(), "of what is left to chance")
	record := flags.String("record", "", "write the results to this file, in Markdown")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var parts []string
	if *names != "" {
		parts = strings.Split(*names, ",")
	}
	selected := faults.Select(parts)
	if *list {
		for _, f := range selected {
			fmt.Fprintf(stdout, "%-48s %s\n", f.ID(), f.About)
		}
		return 0
	}
	if err := testenv.Check(testenv.NetNS | testenv.AFXDP | testenv.XDPProgram); err != nil {
		fmt.Fprintln(stderr, "faults:", err)
		return 2
	}
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	runner, err := faults.NewRunner(*seed, log)
	if err != nil {
		fmt.Fprintln(stderr, "faults:", err)
		return 2
	}
	defer runner.Close()
	fmt.Fprintf(stdout, "%d faults, seed %d\n", len(selected), *seed)
	start := time.Now()
	results, code := runAll(ctx, runner, selected, stdout)
	failed := 0
	for i := range results {
		if results[i].Failed() {
			failed++
		}
	}
	fmt.Fprintf(stdout, "%d faults in %.0f s, %d failed\n", len(results), time.Since(start).Seconds(), failed)
	if *record != "" {
		if err := write(*record, results); err != nil {
			fmt.Fprintln(stderr, "faults:", err)
			return 2
		}
	}
	if failed > 0 {
		return max(code, 1)
	}
	return code
}

func runAll(ctx context.Context, runner *faults.Runner, selected []*faults.Fault, stdout io.Writer) (results []faults.Result, code int) {
	for _, f := range selected {
		if ctx.Err() != nil {
			return results, 2
		}
		r, err := runner.Run(ctx, f)
		if err != nil {
			fmt.Fprintf(stdout, "FAIL %s: it could not be set up: %v\n", f.ID(), err)
			code = 2
			continue
		}
		fmt.Fprintln(stdout, r.Line())
		for _, d := range r.Details() {
			fmt.Fprintln(stdout, "     ", d)
		}
		results = append(results, r)
	}
	return results, code
}

func write(path string, results []faults.Result) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	version, _, _ := strings.Cut(unix.ByteSliceToString(u.Release[:]), "-")
	if err := faults.Markdown(f, results, version); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
