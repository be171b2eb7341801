// SPDX-License-Identifier: Apache-2.0

// Command wire sends frames, made by chance from a seed, to two hosts that are alike, one with WSK sockets over XDP, one with sockets of
// the kernel's, and compares what is delivered. It needs root. It exits with 1 when there is a difference that is not on the written
// list, and with 2 when it could not run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsk-xdp/wsk-xdp/bpf"
	"github.com/wsk-xdp/wsk-xdp/testenv"
	"github.com/wsk-xdp/wsk-xdp/testenv/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wire", flag.ContinueOnError)
	flags.SetOutput(stderr)
	n := flags.Int("n", 100_000, "how many frames")
	seed := flags.Uint64("seed", rand.Uint64(), "of the frames")
	most := flags.Int("most", 1, "after how many differences to give up")
	ignore := flags.String("ignore", "", "make no cases that are one of these, separated by commas: to look beyond what is known")
	sysctls := flags.String("sysctl", "", "of both hosts, separated by commas: ipv4/conf/all/rp_filter=1")
	generic := flags.Bool("generic", false, "run the XDP program in generic mode, and send no tags beside frames, which it does not see there")
	verbose := flags.Bool("v", false, "print the datapath's log")
	list := flags.Bool("list", false, "print what may differ, and why")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *list {
		for _, d := range wire.Differences {
			fmt.Fprintf(stdout, "%s: %s\n", d.Name, d.Reason)
		}
		return 0
	}
	if err := testenv.Check(testenv.NetNS | testenv.AFXDP | testenv.XDPProgram); err != nil {
		fmt.Fprintln(stderr, "wire:", err)
		return 2
	}
	c := wire.Config{Seed: *seed, Frames: *n, Most: *most}
	if *ignore != "" {
		c.Ignore = strings.Split(*ignore, ",")
	}
	if *generic {
		c.Mode, c.Ignore = bpf.Generic, append(c.Ignore, "tag beside")
	}
	if *sysctls != "" {
		c.Sysctls = strings.Split(*sysctls, ",")
	}
	if *verbose {
		c.Log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	fmt.Fprintf(stdout, "%d frames, seed %d\n", *n, *seed)
	start, told := time.Now(), time.Now()
	c.Progress = func(frames int) {
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(stdout, "%d frames after %.0f s\n", frames, time.Since(start).Seconds())
		}
	}
	r, err := wire.Run(ctx, c)
	for i := range r.Found {
		r.Found[i].Write(stdout)
	}
	fmt.Fprintf(stdout, "%d frames in %d cases and %.0f s: %d datagrams delivered; %d frames through XDP, %d datagrams through the kernel\n",
		r.Frames, r.Cases, time.Since(start).Seconds(), r.Delivered, r.Redirected, r.Companion)
	for _, name := range slices.Sorted(maps.Keys(r.Allowed)) {
		fmt.Fprintf(stdout, "%d of the listed difference %q\n", r.Allowed[name], name)
	}
	fmt.Fprintf(stdout, "%d differences outside the list\n", len(r.Found))
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "wire:", err)
		return 2
	case len(r.Found) > 0:
		fmt.Fprintf(stdout, "again: go run ./testenv/cmd/wire -n %d -seed %d\n", *n, *seed)
		return 1
	}
	return 0
}
