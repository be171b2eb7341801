// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const signalGrace = 500 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Some time after the first signal the default action is back, so that another one ends a program that hangs. Not at once:
	// a demo in a user namespace gets the signal of the terminal twice, from it and from its parent.
	context.AfterFunc(ctx, func() { time.AfterFunc(signalGrace, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
